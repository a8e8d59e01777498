import { afterEach } from 'vitest'
import { type Device, screenshot } from './people.ts'

/**
 * Leaves a picture of each person's page, `failed-<name>.png`, where a test fails. To be called in a `describe`.
 * @param people asked for after each test: their pages are opened by a hook
 */
export function leavePicturesOfFailures(people: () => Readonly<Record<string, Device>>): void {
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return
    for (const [name, { page }] of Object.entries(people())) await screenshot(page, `failed-${name}`)
  })
}
