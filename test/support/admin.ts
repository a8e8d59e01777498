import { createHmac } from 'node:crypto'
import type { Person, TestServer } from './test-server.ts'

/** A new account that administers the server, made by the shared secret of test servers. The password is `password of <name>`. */
export async function registerAdmin(server: TestServer, username: string): Promise<Person> {
  const path = '/_synapse/admin/v1/register'
  const { nonce } = (await server.api().get<{ nonce: string }>(path)).body
  const password = `password of ${username}`
  const mac = createHmac('sha1', 'for tests only').update([nonce, username, password, 'admin'].join('\0')).digest('hex')
  const reply = await server.api().post<{ user_id: string; device_id: string; access_token: string }>(path, {
    nonce,
    username,
    password,
    admin: true,
    mac,
  })
  if (reply.status !== 200) throw new Error(`no administrator: ${reply.status} ${JSON.stringify(reply.body)}`)
  const { user_id: userId, device_id: deviceId, access_token: accessToken } = reply.body
  return { userId, deviceId, accessToken, api: server.api(accessToken) }
}
