import { readFileSync } from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

// Importing this module reads all that it exports, and with its WebSocket comes Node's whole `fetch`: 40 ms and 13 MB.
const { createServer } = process.getBuiltinModule('node:http')

/** Where to listen; `tls` holds paths of PEM files. */
export interface ListenAt {
  readonly address: string
  readonly port: number
  readonly tls: { readonly certificate: string; readonly private_key: string } | null
}

/** How long a client may take for the headers of a request. */
const HEADERS_TIMEOUT_MS = 20_000
/** How long a whole request may take; uploads over slow lines are the longest. */
const REQUEST_TIMEOUT_MS = 3_600_000
/** How long an idle connection is kept for the next request: longer than reverse proxies keep theirs. */
const KEEP_ALIVE_MS = 75_000
const SWEEP_MS = 25
const MAX_HEADER_BYTES = 32 * 1024

/** A socket that listens. */
export interface Listener {
  readonly address: string
  /** The one that was given by the system where 0 was asked for. */
  readonly port: number
  readonly isTls: boolean
  /** Reads the certificate and its key again, for connections from now on. @throws Error where they do not fit; the old ones stay */
  reloadCertificate(): void
  /** No new connections; resolves when the last one has ended. Idle connections are ended at once. */
  close(): Promise<void>
  /** Ends all connections, whatever they are doing. */
  cut(): void
}

/**
 * Binds a socket. Connections are accepted from this moment.
 * @param handle answers each request
 * @throws Error of the system (`EADDRINUSE`, `EACCES`, …), or for a certificate that cannot be read
 */
export async function listen(at: ListenAt, handle: RequestListener): Promise<Listener> {
  const options = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
  }
  const { tls } = at
  const server = tls ? createTlsServer({ ...options, ...readPem(tls) }, handle) : createServer(options, handle)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: at.address, port: at.port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    address: at.address,
    port: (server.address() as AddressInfo).port,
    isTls: tls !== null,
    reloadCertificate() {
      if (tls) (server as TlsServer).setSecureContext(readPem(tls))
    },
    close: () => close(server),
    cut: () => server.closeAllConnections(),
  }
}

function readPem(tls: NonNullable<ListenAt['tls']>): { cert: Buffer; key: Buffer } {
  return { cert: readFileSync(tls.certificate), key: readFileSync(tls.private_key) }
}

function close(server: Server | TlsServer): Promise<void> {
  return new Promise((resolve) => {
    // A connection that is busy now is idle after its answer, and would then be kept for the next request.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS)
    // The only error would be that it does not listen, which is what is wanted.
    server.close(() => {
      clearInterval(sweep)
      resolve()
    })
    server.closeIdleConnections()
  })
}
