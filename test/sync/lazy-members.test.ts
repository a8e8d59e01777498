import { describe, expect, it } from 'vitest'
import type { RoomEvent } from '../../server/rooms/index.ts'
import { LazyMembers } from '../../server/sync/lazy-members.ts'
import { parseToken, writeToken } from '../../server/sync/token.ts'

const member = (roomId: string, userId: string, eventId: string): RoomEvent =>
  ({ roomId, eventId, pdu: { type: 'm.room.member', state_key: userId, content: {} } }) as unknown as RoomEvent

describe('which members a client has got', () => {
  it('knows them once the client has shown that it got the answer', () => {
    const lazy = new LazyMembers()
    const bob = member('!r', '@bob:x', '$1')
    lazy.note('phone', 10, [bob])
    expect(lazy.isKnown('phone', 10, bob)).toBe(true)
    expect(lazy.isKnown('phone', 10, member('!r', '@bob:x', '$2'))).toBe(false)
    expect(lazy.isKnown('phone', 10, member('!other', '@bob:x', '$1'))).toBe(false)
    expect(lazy.isKnown('laptop', 10, bob)).toBe(false)
    expect(lazy.isKnown('phone', 9, bob)).toBe(false)
    lazy.reset('phone')
    expect(lazy.isKnown('phone', 10, bob)).toBe(false)
  })

  it('is bounded: what was sent longest ago is forgotten', () => {
    const lazy = new LazyMembers()
    const of = (room: number, user: number): RoomEvent => member(`!${room}`, `@${user}:x`, `$${room}.${user}`)
    for (let room = 0; room < 200; room += 1) {
      lazy.note(
        'phone',
        1,
        Array.from({ length: 100 }, (_, user) => of(room, user)),
      )
    }
    expect(lazy.isKnown('phone', 1, of(0, 0))).toBe(false)
    expect(lazy.isKnown('phone', 1, of(199, 99))).toBe(true)
  })
})

describe('tokens of /sync', () => {
  it.each([
    { position: 0, ephemeral: undefined, toDevice: 0 },
    { position: 12, ephemeral: { serial: 40, run: 'abc123', sawTyping: false }, toDevice: 12 },
    { position: 12, ephemeral: { serial: 0, run: 'z', sawTyping: true }, toDevice: 7 },
  ])('says what was written: %j', (token) => {
    expect(parseToken(writeToken(token))).toEqual(token)
    expect(writeToken(token)).toMatch(/^s\d{1,15}(?:_|$)/)
  })

  it.each(['', 's', 't5', 's1_', 's1_x', 's1.5', 's1 ', 's9999999999999999'])('refuses %j', (text) => {
    expect(() => parseToken(text)).toThrow(expect.objectContaining({ errcode: 'M_INVALID_PARAM' }))
  })

  it('never lies past its own position', () => {
    expect(parseToken('s5_d9').toDevice).toBe(5)
  })
})
