import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChangeMarks } from '../../server/sync/change-marks.ts'
import { RoomChanges } from '../../server/sync/room-changes.ts'

describe('what changed lately', () => {
  it('finds every room that changed after a position, or says that it does not know', () => {
    const change = fc.record({ room: fc.integer({ min: 0, max: 30 }), late: fc.integer({ min: 0, max: 20 }) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 300 }), fc.nat(400), (changes, since) => {
        const log = new RoomChanges(50)
        // Announcements may lag a little behind those of later commits.
        const told = changes
          .map(({ room, late }, i) => ({ room: `!${room}`, position: 51 + i, at: i + late }))
          .toSorted((a, b) => a.at - b.at)
        for (const { room, position } of told) log.add(position, room)
        const found = log.since(since, 10_000)
        if (since < 50) expect(found).toBeUndefined()
        else {
          const expected = new Set(told.filter(({ position }) => position > since).map(({ room }) => room))
          expect(found).toEqual(expected)
        }
      }),
    )
  })

  it('forgets the oldest when there are many, and says so', () => {
    const log = new RoomChanges(0)
    for (let position = 1; position <= 20_000; position += 1) log.add(position, `!${position}`)
    expect(log.since(100, 100_000)).toBeUndefined()
    expect(log.since(19_990, 100_000)?.size).toBe(10)
    expect(log.since(15_000, 100)).toBeUndefined()
    expect(log.since(20_000, 0)?.size).toBe(0)
  })

  it('denies a change only where it is sure of it', () => {
    const marks = new ChangeMarks(10)
    expect([marks.mayHaveChanged('a', 9), marks.mayHaveChanged('a', 10)]).toEqual([true, false])
    marks.note('a', 12)
    marks.note('a', 11)
    expect([marks.mayHaveChanged('a', 11), marks.mayHaveChanged('a', 12), marks.mayHaveChanged('b', 11)]).toEqual([
      true,
      false,
      false,
    ])
    for (let i = 0; i < 30_000; i += 1) marks.note(`user${i}`, 20 + i)
    expect(marks.mayHaveChanged('a', 11)).toBe(true)
  })
})
