/** A door in front of a server's port, by which a test makes it unreachable for others while it runs on. */
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface Gate extends AsyncDisposable {
  /** Where others are told that the server is; always on 127.0.0.1. */
  readonly port: number
  /** Where the server really listens, once that is known. */
  leadTo(port: number): void
  /** Nobody comes through, and who is inside is cut off. */
  close(): void
  open(): void
}

export async function makeGate(): Promise<Gate> {
  let target = 0
  let isOpen = true
  const inside = new Set<Socket>()
  const server: Server = createServer((outer) => {
    if (!isOpen || target === 0) return void outer.destroy()
    const inner = connect({ port: target, host: '127.0.0.1' })
    for (const [one, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      inside.add(one)
      one.on('error', () => one.destroy())
      one.on('close', () => {
        inside.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cutAll = (): void => {
    for (const socket of inside) socket.destroy()
  }
  return {
    port: (server.address() as { port: number }).port,
    leadTo(port) {
      target = port
    },
    close() {
      isOpen = false
      cutAll()
    },
    open() {
      isOpen = true
    },
    async [Symbol.asyncDispose]() {
      cutAll()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
