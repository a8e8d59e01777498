import { describe, expect, it } from 'vitest'
import { restoreBounds } from '../../main/windows/restore-bounds.ts'

const display = { x: 0, y: 25, width: 1920, height: 1055 }
const second = { x: 1920, y: 0, width: 1280, height: 1024 }

describe('the window opens', () => {
  it('where it was', () => {
    const saved = { x: 100, y: 80, width: 900, height: 700 }
    expect(restoreBounds(saved, [display])).toEqual(saved)
  })

  it('on the display it was on', () => {
    const saved = { x: 2000, y: 10, width: 900, height: 700 }
    expect(restoreBounds(saved, [display, second])).toEqual(saved)
  })

  it.each([
    ['nothing was saved', undefined],
    ['the file holds something else', { x: 'left' }],
    ['its display is gone', { x: 2000, y: 10, width: 900, height: 700 }],
    ['it was above every display', { x: 100, y: -900, width: 900, height: 700 }],
    ['it had no size', { x: 10, y: 30, width: 0, height: 0 }],
  ])('in the middle of the main display when %s', (_why, saved) => {
    expect(restoreBounds(saved, [display])).toEqual({ x: 370, y: 153, width: 1180, height: 800 })
  })

  it('no larger than the display, and no smaller than it can be used', () => {
    expect(restoreBounds({ x: 0, y: 25, width: 9000, height: 9000 }, [display])).toMatchObject({
      width: 1920,
      height: 1055,
    })
    expect(restoreBounds({ x: 0, y: 25, width: 10, height: 500 }, [display])).toMatchObject({ x: 370 })
    expect(restoreBounds({ x: 0, y: 25, width: 200, height: 500 }, [display])).toMatchObject({ width: 360 })
  })
})
