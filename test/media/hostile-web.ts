/** A web server of somebody who means no good, at an address that the server under test may go to. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Page = (request: IncomingMessage, response: ServerResponse) => void

export interface HostileWeb extends AsyncDisposable {
  /** `http://127.0.0.2:port` */
  readonly url: string
  /** What is served, by path. */
  readonly pages: Map<string, Page>
  /** Requests that came, oldest first. */
  readonly seen: { readonly path: string; readonly headers: IncomingMessage['headers'] }[]
}

/** The one address that these tests allow; the rest of the loopback network stays closed. */
export const WEB_ADDRESS = '127.0.0.2'
export const previewConfig = {
  url_previews: { enabled: true },
  outbound: { allow_addresses: [`${WEB_ADDRESS}/32`] },
}

export async function startHostileWeb(): Promise<HostileWeb> {
  const pages = new Map<string, Page>()
  const seen: HostileWeb['seen'] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    seen.push({ path, headers: request.headers })
    const page = pages.get(path)
    // Whoever is read by a cautious client is cut off often.
    response.on('error', () => {})
    if (page) page(request, response)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, WEB_ADDRESS, resolve))
  return {
    url: `http://${WEB_ADDRESS}:${(server.address() as AddressInfo).port}`,
    pages,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Answers with this body. */
export const sends =
  (body: string | Uint8Array, type = 'text/html; charset=utf-8', headers: Record<string, string> = {}): Page =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': type, ...headers }).end(body)
  }

export const redirectsTo =
  (location: string, status = 302): Page =>
  (_request, response) => {
    response.writeHead(status, { location, 'set-cookie': 'track=1' }).end()
  }

/** Sends one piece after the other for as long as somebody reads. */
export const withoutEnd =
  (piece: string | Uint8Array, headers: Record<string, string>): Page =>
  (_request, response) => {
    response.writeHead(200, headers)
    const more = (): void => {
      while (!response.destroyed && response.write(piece));
    }
    response.on('drain', more)
    more()
  }
