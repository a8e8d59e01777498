/**
 * Registration files of application services. Spec: application-service-api §Registration,
 * data/api/application-service/definitions/registration.yaml.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { isUserId } from '../../shared/matrix/identifiers.ts'
import { compilePattern, type Pattern } from './pattern.ts'

const NamespaceList = Type.Optional(Type.Array(Type.Object({ regex: Type.String(), exclusive: Type.Boolean() })))

const RegistrationFile = Type.Object({
  id: Type.String({ minLength: 1 }),
  url: Type.Union([Type.Null(), Type.String()]),
  as_token: Type.String({ minLength: 1 }),
  hs_token: Type.String({ minLength: 1 }),
  sender_localpart: Type.String({ minLength: 1 }),
  receive_ephemeral: Type.Optional(Type.Boolean()),
  /** `receive_ephemeral` as it was called before v1.13. MSC2409. */
  'de.sorunome.msc2409.push_ephemeral': Type.Optional(Type.Boolean()),
  /** Device lists and counts of one-time keys come with transactions. MSC3202. */
  'org.matrix.msc3202': Type.Optional(Type.Boolean()),
  namespaces: Type.Object({ users: NamespaceList, rooms: NamespaceList, aliases: NamespaceList }),
  rate_limited: Type.Optional(Type.Boolean()),
  protocols: Type.Optional(Type.Array(Type.String())),
})

type RegistrationFile = Static<typeof RegistrationFile>

export interface Namespace {
  readonly matches: Pattern
  readonly isExclusive: boolean
}
interface Namespaces {
  readonly users: readonly Namespace[]
  readonly aliases: readonly Namespace[]
  readonly rooms: readonly Namespace[]
}

/** One application service as its file describes it; keys that the specification does not have are left out. */
export type Registration = Omit<RegistrationFile, 'namespaces'> & { readonly namespaces: Namespaces }

/** A registration file that cannot be used. The message names the file and the key, and quotes no value. */
export class RegistrationError extends Error {
  override readonly name = 'RegistrationError'
}

/**
 * Reads every `*.yaml` of the folder, in the order of their names.
 * @throws RegistrationError for a folder or file that cannot be read or is no registration, and for an `id` or `as_token` that
 * two files share
 */
export async function readRegistrations(folder: string, serverName: string): Promise<readonly Registration[]> {
  const names = await orFail(folder, () => readdir(folder))
  const registrations: Registration[] = []
  const owners = new Map<string, string>()
  for (const name of names.filter((name) => name.endsWith('.yaml')).sort()) {
    const path = join(folder, name)
    const text = await orFail(path, () => readFile(path, 'utf8'))
    const registration = await parseRegistration(text, path, serverName)
    for (const key of ['id', 'as_token'] as const) {
      const taken = owners.get(`${key} ${registration[key]}`)
      if (taken !== undefined) throw new RegistrationError(`${path} has the same ${key} as ${taken}`)
      owners.set(`${key} ${registration[key]}`, path)
    }
    registrations.push(registration)
  }
  return registrations
}

async function parseRegistration(text: string, path: string, serverName: string): Promise<Registration> {
  // Loaded only where there are application services.
  const { parse } = await import('yaml')
  let value: unknown
  try {
    value = parse(text, { maxAliasCount: 100 })
  } catch (cause) {
    // The parser's message quotes the file, in which there are tokens.
    throw new RegistrationError(`${path} is not YAML`, { cause })
  }
  if (!Value.Check(RegistrationFile, value)) {
    const [error] = Value.Errors(RegistrationFile, value)
    const missing = (error?.params as { requiredProperties?: readonly string[] } | undefined)?.requiredProperties?.[0]
    const key = `${error?.instancePath ?? ''}${missing === undefined ? '' : `/${missing}`}`
      .slice(1)
      .replaceAll('/', '.')
    const why = missing === undefined ? (error?.message ?? 'is not valid') : 'is missing'
    throw new RegistrationError(key === '' ? `${path} is no registration` : `${path}: ${key} ${why}`)
  }
  const file: RegistrationFile = value
  checkUrl(file, path)
  const registration: Registration = { ...file, namespaces: await compileNamespaces(file, path) }
  if (!isUserId(`@${registration.sender_localpart}:${serverName}`)) {
    throw new RegistrationError(`${path}: sender_localpart is no localpart of a user ID`)
  }
  return registration
}

function checkUrl({ url }: RegistrationFile, path: string): void {
  // An empty one is how older bridges say that they want no traffic.
  if (url === null || url === '') return
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new RegistrationError(`${path}: url is no http or https URL`)
  }
}

async function compileNamespaces({ namespaces }: RegistrationFile, path: string): Promise<Namespaces> {
  const compiled = async (kind: keyof Namespaces): Promise<readonly Namespace[]> => {
    const list: Namespace[] = []
    for (const [i, { regex, exclusive }] of (namespaces[kind] ?? []).entries()) {
      try {
        list.push({ matches: await compilePattern(regex), isExclusive: exclusive })
      } catch (cause) {
        const why = cause instanceof RangeError ? cause.message : 'no regular expression'
        throw new RegistrationError(`${path}: namespaces.${kind}.${i}.regex is ${why}`, { cause })
      }
    }
    return list
  }
  return { users: await compiled('users'), rooms: await compiled('rooms'), aliases: await compiled('aliases') }
}

async function orFail<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    throw new RegistrationError(`${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  }
}
