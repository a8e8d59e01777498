import { describe, expect, it, vi } from 'vitest'
import { createUia, DUMMY, PASSWORD, type Proof, type UiaCall } from '../../server/http/uia.ts'
import { forbidden, MatrixError } from '../../shared/matrix/errors.ts'
import { manualClock } from '../support/manual-clock.ts'

const right = { type: PASSWORD, identifier: { type: 'm.id.user', user: 'ann' }, password: 'right' }
const dummy = { type: DUMMY }

/** Flows of two stages, as servers with terms or mail have them. */
function setUp() {
  const clock = manualClock()
  const nothing = (): void => {}
  const uia = createUia({
    environment: {
      serverName: 'hearth.test',
      clock,
      random: { number: Math.random, bytes: (count) => Buffer.from(crypto.getRandomValues(new Uint8Array(count))) },
      logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    },
    checks: {
      findByPassword: async ({ password }) => (password === 'right' ? '@ann:hearth.test' : undefined),
      isRegistrationToken: async () => false,
      findEmailProof: async () => undefined,
    },
  })
  const work = vi.fn(async ({ userId }: Proof) => `done by ${userId}`)
  const run = (auth: object | undefined, body: object = {}, call: Partial<UiaCall> = {}) =>
    uia.run(
      {
        operation: 'moveOut',
        body: { ...body, ...(auth ? { auth } : {}) },
        userId: null,
        flows: [[PASSWORD, DUMMY]],
        ip: '192.0.2.1',
        ...call,
      },
      work,
    )
  /** The body of the 401 that the call is answered with. */
  const asked = async (...args: Parameters<typeof run>): Promise<Record<string, unknown>> => {
    const error = await run(...args).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof MatrixError)) throw new Error(`it was not refused: ${error}`)
    expect(error.status).toBe(401)
    return error.toBody()
  }
  return { clock, run, asked, work }
}

describe('client-server-api §User-Interactive Authentication API, flows of several stages', () => {
  it('goes through the stages in their order, and says which are completed', async () => {
    const { run, asked, work } = setUp()
    const flows = [{ stages: [PASSWORD, DUMMY] }]
    const first = await asked(undefined)
    expect(first).toEqual({ flows, params: {}, session: expect.any(String) })
    const { session } = first
    expect(await asked({ ...dummy, session })).toMatchObject({ errcode: 'M_FORBIDDEN', session })
    expect(await asked({ ...right, password: 'wrong', session })).toMatchObject({ errcode: 'M_FORBIDDEN', session })
    expect(await asked({ ...right, session })).toEqual({ flows, params: {}, session, completed: [PASSWORD] })
    expect(work).not.toHaveBeenCalled()
    expect(await run({ ...dummy, session })).toBe('done by @ann:hearth.test')
  })

  it('does not do a completed stage again, whatever its retry holds', async () => {
    const { asked } = setUp()
    const { session } = await asked(right)
    expect(await asked({ ...right, password: 'wrong', session })).toEqual({
      flows: [{ stages: [PASSWORD, DUMMY] }],
      params: {},
      session,
      completed: [PASSWORD],
    })
    expect(await asked({ session })).toMatchObject({ completed: [PASSWORD] })
  })

  it('binds the body once a stage is completed: the order of keys may differ, nothing else', async () => {
    const { run, asked, work } = setUp()
    const { session: early } = await asked(undefined, {})
    const { session } = await asked({ ...right, session: early }, { a: 1, b: { c: [1, 2], d: 3 } })
    expect(session).toBe(early)
    await expect(run({ ...dummy, session }, { a: 2 })).rejects.toMatchObject(forbiddenError)
    expect(work).not.toHaveBeenCalled()
    expect(await run({ ...dummy, session }, { b: { d: 3, c: [1, 2] }, a: 1 })).toMatch(/^done/)
  })

  it('does the work once, however often the completed request comes, and forgets the result after a minute', async () => {
    const { clock, run, asked, work } = setUp()
    const { session } = await asked(right)
    const call = { ...dummy, session }
    const results = await Promise.all([run(call), run(call), run({ session })])
    expect(new Set(results).size).toBe(1)
    expect(work).toHaveBeenCalledTimes(1)
    clock.advance(61_000)
    expect(await asked({ session })).not.toHaveProperty('completed')
    expect(work).toHaveBeenCalledTimes(1)
  })

  it('begins anew after the work has failed', async () => {
    const { run, asked, work } = setUp()
    const { session } = await asked(right)
    work.mockRejectedValueOnce(forbidden('not today'))
    await expect(run({ ...dummy, session })).rejects.toMatchObject({ errcode: 'M_FORBIDDEN', status: 403 })
    const again = await asked({ session })
    expect(again).not.toHaveProperty('completed')
    expect(again.session).not.toBe(session)
  })

  it('forgets the oldest of very many sessions', async () => {
    const { asked } = setUp()
    const { session: oldest } = await asked(right)
    const { session: kept } = await asked(right)
    for (let i = 0; i < 9_999; i += 1) await asked(undefined)
    expect(await asked({ session: oldest })).not.toHaveProperty('completed')
    expect(kept).not.toBe(oldest)
  })
})

const forbiddenError = { errcode: 'M_FORBIDDEN', status: 403 }
