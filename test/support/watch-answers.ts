/**
 * Set up for every test file (`test/vitest.config.ts`): each answer of a server that the test has started is held against its
 * declaration and against what holds of all answers. A test fails that was given another.
 */
import { afterEach, expect } from 'vitest'
import type { Answer } from './every-answer.ts'
import { watchedServers } from './watched-servers.ts'

let looking: Promise<void>[] = []
let faults: string[] = []

const plainFetch = globalThis.fetch
globalThis.fetch = async (input, init) => {
  const response = await plainFetch(input, init)
  const { origin, pathname, searchParams: search } = new URL(input instanceof Request ? input.url : input)
  if (watchedServers.has(origin) && !response.redirected) {
    const method = init?.method ?? (input instanceof Request ? input.method : 'GET')
    looking.push(lookAt({ method, pathname, search, status: response.status, headers: response.headers }, response))
  }
  return response
}

async function lookAt(answer: Omit<Answer, 'text'>, response: Response): Promise<void> {
  const { method, pathname, status, headers } = answer
  const isJson = headers.get('content-type')?.startsWith('application/json') ?? false
  // What is given up in its middle is nobody's answer.
  const text =
    isJson && method !== 'HEAD'
      ? await response
          .clone()
          .text()
          .catch(() => undefined)
      : ''
  if (text === undefined) return
  const { faultsOfAnswer } = await import('./every-answer.ts')
  faults.push(...faultsOfAnswer({ ...answer, text }).map((fault) => `${method} ${pathname} → ${status}: ${fault}`))
}

/** What was wrong with the answers since it was asked last. */
export async function takeFaults(): Promise<readonly string[]> {
  await Promise.all(looking)
  const found = faults
  looking = []
  faults = []
  return found
}

afterEach(async () => {
  expect(await takeFaults(), 'answers that are not as declared').toEqual([])
})
