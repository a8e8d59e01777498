import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** A number that a slice offers for reading. */
export interface Measure {
  /** snake_case without the `hearth_` in front. */
  readonly name: string
  readonly help: string
  readonly kind: 'gauge' | 'counter'
  readonly read: () => number
}

export interface Metrics extends AsyncDisposable {
  readonly port: number
  /** @param operationId `null` where no endpoint was asked for */
  served(served: { operationId: string | null; status: number; durationMs: number }): void
}

/** Upper bounds in seconds. */
const DURATIONS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * Serves `GET /metrics` in the Prometheus text format on a socket of its own: the process, the event loop's lag, requests by
 * operation and status, and what the slices offer. Nothing in it names a user or a room.
 *
 * @throws Error of the system where it cannot listen
 */
export async function startMetrics(
  at: { readonly address: string; readonly port: number },
  measures: readonly Measure[],
): Promise<Metrics> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'hearth_' })
  const durations = new Histogram({
    name: 'hearth_http_request_duration_seconds',
    help: 'From the headers of a request to its answer, long polls included',
    labelNames: ['operation', 'status'],
    buckets: DURATIONS,
    registers: [registry],
  })
  for (const { name, help, kind, read } of measures) expose(registry, { name, help, kind, read })

  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(at.port, at.address, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    served: ({ operationId, status, durationMs }) =>
      durations.observe({ operation: operationId ?? 'none', status: String(status) }, durationMs / 1000),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      registry.clear()
    },
  }
}

function expose(registry: Registry, { name, help, kind, read }: Measure): void {
  const options = { name: `hearth_${name}`, help, registers: [registry] }
  if (kind === 'gauge') {
    new Gauge({
      ...options,
      collect() {
        this.set(read())
      },
    })
    return
  }
  new Counter({
    ...options,
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}
