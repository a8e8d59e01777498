import { describe, expect, it } from 'vitest'
import { measure } from './measure.ts'
import { fullMesh, ring } from './ways.ts'
import { PRICES } from './world.ts'

const small = { homes: 120, offline: 0, eventBytes: 1_000, events: 1 }
const ways = [fullMesh, ring(2, 1), ring(4, 2), ring(8, 3)]

describe('the simulation of passing events on', () => {
  it.each(ways)('reaches every home that is there, with a fifth of them gone too: $name', (way) => {
    expect(measure(way, small, 1).reached).toBe(1)
    expect(measure(way, { ...small, offline: 0.2, events: 3 }, 1).reached).toBe(1)
  })

  it.each(ways)('gives the same figures for the same seed, and others for another: $name', (way) => {
    const scenario = { ...small, offline: 0.2 }
    expect(measure(way, scenario, 5)).toEqual(measure(way, scenario, 5))
    expect(measure(way, scenario, 5)).not.toEqual(measure(way, scenario, 6))
  })

  it('counts what the author sends as it can be reckoned on paper', () => {
    const one = PRICES.helloBytes + small.eventBytes + PRICES.requestBytes
    expect(measure(fullMesh, small, 1).authorBytes).toBe(119 * one)
    expect(measure(ring(4, 1), small, 1).authorBytes).toBe(4 * one)
    expect(measure(ring(4, 2), small, 1).authorBytes).toBe(8 * one)
  })

  it('is never faster than light and uplinks allow', () => {
    for (const way of ways) {
      const { halfMs, almostAllMs } = measure(way, small, 1)
      expect(halfMs).toBeGreaterThan(3 * 10)
      expect(almostAllMs).toBeGreaterThanOrEqual(halfMs)
    }
  })
})
