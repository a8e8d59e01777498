import { parseServerName } from '../../shared/matrix/server-name.ts'
import type { Config, ListenerConfig } from './config.ts'

/** A listener as the `ready` line tells of it. */
export interface BoundListener {
  readonly address: string
  /** The one that was given by the system where the configuration says 0. */
  readonly port: number
  readonly serves: ListenerConfig['serves']
  readonly isTls: boolean
}

/** Where clients reach this server: `public_base_url`, or the first client listener; `null` where there is none. */
export function baseUrlOf(config: Config, listeners: readonly BoundListener[]): string | null {
  if (config.public_base_url !== null) return config.public_base_url
  const listener = listeners.find(({ serves }) => serves.includes('client'))
  if (!listener) return null
  const isAnyAddress = listener.address === '0.0.0.0' || listener.address === '::'
  const host = isAnyAddress ? hostOf(config.server_name) : bracketed(listener.address)
  return `${listener.isTls ? 'https' : 'http'}://${host}:${listener.port}`
}

/**
 * What `.well-known/matrix/server` names: our TLS listener for federation, else the proxy that `public_base_url` stands for.
 * @returns `null` where servers can only try the server name itself
 */
export function federationNameOf(config: Config, listeners: readonly BoundListener[]): string | null {
  const listener = listeners.find(({ serves, isTls }) => isTls && serves.includes('federation'))
  if (listener) return `${hostOf(config.server_name)}:${listener.port}`
  const servesFederation = listeners.some(({ serves }) => serves.includes('federation'))
  if (!servesFederation || !config.public_base_url?.startsWith('https://')) return null
  const { hostname, port } = new URL(config.public_base_url)
  return `${hostname}:${port || '443'}`
}

function hostOf(serverName: string): string {
  const hostname = parseServerName(serverName)?.hostname ?? serverName
  return bracketed(hostname)
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
