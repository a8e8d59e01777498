export interface Bounds {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const SMALLEST = { width: 360, height: 480 }
const USUAL = { width: 1_180, height: 800 }
/** This much of the window's top edge must be on a display, so that it can be taken hold of. */
const GRIP = { width: 120, height: 40 }

/**
 * Where to open the window: where it was, if that can still be seen, else in the middle of the first display.
 * @param saved what was kept when it closed, whatever that file holds now
 * @param displays work areas of the displays there are, the main one first; at least one
 */
export function restoreBounds(saved: unknown, displays: readonly [Bounds, ...Bounds[]]): Bounds {
  const bounds = asBounds(saved)
  const home = bounds && displays.find((display) => isReachable(bounds, display))
  if (bounds && home) {
    return {
      x: bounds.x,
      y: Math.max(bounds.y, home.y),
      width: clamp(bounds.width, SMALLEST.width, home.width),
      height: clamp(bounds.height, SMALLEST.height, home.height),
    }
  }
  const [main] = displays
  const width = Math.min(USUAL.width, main.width)
  const height = Math.min(USUAL.height, main.height)
  return {
    x: main.x + Math.round((main.width - width) / 2),
    y: main.y + Math.round((main.height - height) / 2),
    width,
    height,
  }
}

function isReachable(bounds: Bounds, display: Bounds): boolean {
  const overlap = Math.min(bounds.x + bounds.width, display.x + display.width) - Math.max(bounds.x, display.x)
  const top = bounds.y >= display.y - GRIP.height && bounds.y <= display.y + display.height - GRIP.height
  return overlap >= GRIP.width && top
}

function asBounds(value: unknown): Bounds | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { x, y, width, height } = value as Record<string, unknown>
  const isWhole = (n: unknown): n is number => Number.isSafeInteger(n)
  if (!isWhole(x) || !isWhole(y) || !isWhole(width) || !isWhole(height)) return undefined
  return width > 0 && height > 0 ? { x, y, width, height } : undefined
}

const clamp = (n: number, least: number, most: number): number => Math.min(Math.max(n, least), Math.max(least, most))
