/**
 * The server's configuration file: one schema. Its keys and their meaning are a contract with service managers and rigs;
 * what is ours alone (`federation`, `metrics`, `web`) is off or harmless by default.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname, resolve } from 'node:path'
import ipaddr from 'ipaddr.js'
import { type Static, Type } from 'typebox'
import { Format } from 'typebox/format'
import { Value } from 'typebox/value'
import { isUserId } from '../../shared/matrix/identifiers.ts'
import { isServerName } from '../../shared/matrix/server-name.ts'
import { DEFAULT_ROOM_VERSION, ROOM_VERSIONS } from '../protocol/room-versions.ts'

Format.Set('mx-user-id', isUserId)
Format.Set('hearth-server-name', isServerName)
Format.Set('hearth-ip-address', (text) => isIP(text) !== 0)
Format.Set('hearth-cidr', (text) => ipaddr.isValidCIDR(text))
Format.Set('hearth-base-url', (text) => isBaseUrl(text))
Format.Set('hearth-smtp-url', (text) => /^smtps?:\/\//.test(text) && URL.canParse(text))
Format.Set('hearth-mail-address', (text) => /^[^\s@]+@[^\s@]+$|^[^<>]*<[^\s@<>]+@[^\s@<>]+>$/.test(text))
Format.Set('hearth-room-version', (text) => ROOM_VERSIONS.includes(text))

const Path = Type.String({ minLength: 1, pattern: '^[^\\u0000]+$' })
const Port = Type.Integer({ minimum: 0, maximum: 65_535 })
const closed = { additionalProperties: false } as const

const ConfigFile = Type.Object(
  {
    server_name: Type.String({ format: 'hearth-server-name' }),
    data_dir: Path,
    public_base_url: Type.Optional(Type.String({ format: 'hearth-base-url' })),
    listeners: Type.Array(
      Type.Object(
        {
          address: Type.String({ format: 'hearth-ip-address' }),
          port: Port,
          serves: Type.Optional(Type.Array(Type.Enum(['client', 'federation']), { minItems: 1, uniqueItems: true })),
          tls: Type.Optional(Type.Object({ certificate: Path, private_key: Path }, closed)),
        },
        closed,
      ),
      { minItems: 1 },
    ),
    outbound: Type.Optional(
      Type.Object(
        {
          trusted_ca_file: Type.Optional(Path),
          allow_addresses: Type.Optional(Type.Array(Type.String({ format: 'hearth-cidr' }))),
        },
        closed,
      ),
    ),
    registration: Type.Optional(
      Type.Object(
        { open: Type.Optional(Type.Boolean()), shared_secret: Type.Optional(Type.String({ minLength: 1 })) },
        closed,
      ),
    ),
    federation: Type.Optional(
      Type.Object(
        { key_servers: Type.Optional(Type.Array(Type.String({ format: 'hearth-server-name' }), { maxItems: 8 })) },
        closed,
      ),
    ),
    rate_limits: Type.Optional(Type.Object({ enabled: Type.Optional(Type.Boolean()) }, closed)),
    rooms: Type.Optional(
      Type.Object({ default_version: Type.Optional(Type.String({ format: 'hearth-room-version' })) }, closed),
    ),
    url_previews: Type.Optional(Type.Object({ enabled: Type.Optional(Type.Boolean()) }, closed)),
    application_services_dir: Type.Optional(Path),
    mail: Type.Optional(
      Type.Object(
        { smtp_url: Type.String({ format: 'hearth-smtp-url' }), from: Type.String({ format: 'hearth-mail-address' }) },
        closed,
      ),
    ),
    log: Type.Optional(Type.Object({ level: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error'])) }, closed)),
    metrics: Type.Optional(
      Type.Object(
        { listener: Type.Object({ address: Type.String({ format: 'hearth-ip-address' }), port: Port }, closed) },
        closed,
      ),
    ),
    support: Type.Optional(
      Type.Object(
        {
          contacts: Type.Optional(
            Type.Array(
              Type.Object(
                {
                  role: Type.String({ minLength: 1 }),
                  matrix_id: Type.Optional(Type.String({ format: 'mx-user-id' })),
                  email_address: Type.Optional(Type.String({ format: 'hearth-mail-address' })),
                },
                // The role, and one of the two ways to reach it.
                { ...closed, minProperties: 2 },
              ),
              { minItems: 1 },
            ),
          ),
          support_page: Type.Optional(Type.String({ format: 'hearth-base-url' })),
        },
        { ...closed, minProperties: 1 },
      ),
    ),
    web: Type.Optional(Type.Object({ enabled: Type.Optional(Type.Boolean()) }, closed)),
  },
  closed,
)
type ConfigFile = Static<typeof ConfigFile>

export interface ListenerConfig {
  readonly address: string
  readonly port: number
  readonly serves: readonly ('client' | 'federation')[]
  readonly tls: { readonly certificate: string; readonly private_key: string } | null
}

/** The configuration with its defaults filled in and its paths absolute. */
export interface Config {
  readonly server_name: string
  readonly data_dir: string
  /** Without a trailing slash; `null`: the first client listener's. */
  readonly public_base_url: string | null
  readonly listeners: readonly ListenerConfig[]
  readonly outbound: { readonly trusted_ca_file: string | null; readonly allow_addresses: readonly string[] }
  readonly registration: { readonly open: boolean; readonly shared_secret: string | null }
  /** Servers whose word on the keys of servers that are gone is taken. */
  readonly federation: { readonly key_servers: readonly string[] }
  readonly rate_limits: { readonly enabled: boolean }
  readonly rooms: { readonly default_version: string }
  readonly url_previews: { readonly enabled: boolean }
  readonly application_services_dir: string | null
  readonly mail: { readonly smtp_url: string; readonly from: string } | null
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' }
  readonly metrics: { readonly listener: { readonly address: string; readonly port: number } } | null
  /** What `.well-known/matrix/support` answers; `null`: nothing is published. */
  readonly support: NonNullable<ConfigFile['support']> | null
  /** Whether client listeners serve the app's page at `/`. */
  readonly web: { readonly enabled: boolean }
}

/** The file cannot be used: exit status 2. The message is one line that names the key and quotes no value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** @throws ConfigError */
export function loadConfig(path: string): Config {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (cause) {
    throw new ConfigError(`the configuration ${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ConfigError(`the configuration ${path} is not JSON: ${oneLine((cause as Error).message)}`, { cause })
  }
  return readConfig(value, dirname(resolve(path)))
}

/**
 * @param value the parsed file
 * @param folder what relative paths count from
 * @throws ConfigError
 */
export function readConfig(value: unknown, folder: string): Config {
  if (!Value.Check(ConfigFile, value)) throw new ConfigError(faultOf(value))
  const file: ConfigFile = value
  const at = (path: string): string => resolve(folder, path)
  return {
    server_name: file.server_name,
    data_dir: at(file.data_dir),
    public_base_url: file.public_base_url?.replace(/\/+$/, '') ?? null,
    listeners: file.listeners.map(({ address, port, serves, tls }) => ({
      address,
      port,
      serves: (serves as readonly ('client' | 'federation')[] | undefined) ?? ['client', 'federation'],
      tls: tls ? { certificate: at(tls.certificate), private_key: at(tls.private_key) } : null,
    })),
    outbound: {
      trusted_ca_file: file.outbound?.trusted_ca_file === undefined ? null : at(file.outbound.trusted_ca_file),
      allow_addresses: file.outbound?.allow_addresses ?? [],
    },
    registration: {
      open: file.registration?.open ?? false,
      shared_secret: file.registration?.shared_secret ?? null,
    },
    federation: { key_servers: file.federation?.key_servers ?? [] },
    rate_limits: { enabled: file.rate_limits?.enabled ?? true },
    rooms: { default_version: file.rooms?.default_version ?? DEFAULT_ROOM_VERSION },
    url_previews: { enabled: file.url_previews?.enabled ?? false },
    application_services_dir: file.application_services_dir === undefined ? null : at(file.application_services_dir),
    mail: file.mail ?? null,
    log: { level: file.log?.level ?? 'info' },
    metrics: file.metrics ?? null,
    support: file.support ?? null,
    web: { enabled: file.web?.enabled ?? true },
  }
}

/** One line that names the key. */
function faultOf(value: unknown): string {
  const error = Value.Errors(ConfigFile, value)[0]
  if (!error) return 'the configuration is not valid'
  const params = error.params as { requiredProperties?: readonly string[]; additionalProperties?: readonly string[] }
  const inner = params.requiredProperties?.[0] ?? params.additionalProperties?.[0]
  const key = [...error.instancePath.split('/').slice(1), ...(inner === undefined ? [] : [inner])].join('.')
  if (error.keyword === 'required') return `configuration key ${oneLine(key)} is missing`
  // An unknown key is told of as a value of a schema that nothing fits.
  const isUnknown = error.keyword === 'additionalProperties' || (error.keyword === 'boolean' && key !== '')
  if (isUnknown) return `configuration key ${oneLine(key)} is unknown`
  if (key === '') return 'the configuration is not a JSON object'
  return `configuration key ${oneLine(key)} ${oneLine(error.message)}`
}

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, search, hash, username } = new URL(text)
  return (protocol === 'http:' || protocol === 'https:') && search === '' && hash === '' && username === ''
}

/** Keys come from the file, too: no line break may make two lines of one. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 300)
}
