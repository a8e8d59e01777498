import type { Input, WebContents } from 'electron'

/** Steps of about a fifth each; within them everything can still be reached. */
const LEAST = -3
const MOST = 5

/**
 * What a key press does to the size of everything: the browser's own keys, which an app without a menu does not have.
 * @param level now; 0 is the usual size
 * @returns the new level, `undefined` where the keys mean something else
 */
export function zoomLevelAfter(
  input: Pick<Input, 'type' | 'key' | 'control' | 'meta' | 'alt'>,
  level: number,
): number | undefined {
  if (input.type !== 'keyDown' || input.alt || !(input.control || input.meta)) return undefined
  if (input.key === '+' || input.key === '=') return Math.min(level + 1, MOST)
  if (input.key === '-') return Math.max(level - 1, LEAST)
  return input.key === '0' ? 0 : undefined
}

export function zoomByKeys(contents: Pick<WebContents, 'on' | 'getZoomLevel' | 'setZoomLevel'>): void {
  contents.on('before-input-event', (event, input) => {
    const level = zoomLevelAfter(input, contents.getZoomLevel())
    if (level === undefined) return
    event.preventDefault()
    contents.setZoomLevel(level)
  })
}
