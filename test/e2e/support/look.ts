import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { screenshot } from './people.ts'

// an open menu stands beside the landmarks, as a dialog does; axe knows that of dialogs only
const OPTIONS = {
  checks: { region: { options: { regionMatcher: 'dialog, [role=dialog], [role=alertdialog], [role=menu], svg' } } },
}

/** What axe finds in the page as it is, best-practice rules included. */
export async function axeFindings(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).options(OPTIONS as object).analyze()
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} (${node.failureSummary})`).join(' ')}`,
  )
}

/** No findings of axe, by day and by night. */
export async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['dark', 'light'] as const) {
    // without motion, or axe would measure colours on their way from day to night
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    expect(await axeFindings(page), colorScheme).toEqual([])
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
}

const WIDE = { width: 1440, height: 900 }
const NARROW = { width: 360, height: 740 }

/**
 * Looks at a view as many people have it: wide and narrow, by day and by night, read from the right. Leaves screenshots;
 * fails on any finding of axe and on anything that stands out at a side. The page is wide and by day afterwards.
 */
export async function look(page: Page, name: string): Promise<void> {
  for (const [size, viewport] of Object.entries({ narrow: NARROW, wide: WIDE })) {
    await page.setViewportSize(viewport)
    for (const colorScheme of ['dark', 'light'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await screenshot(page, `views/${name}-${size}-${colorScheme}`)
      expect.soft(await axeFindings(page), `${name} ${size} ${colorScheme}`).toEqual([])
    }
    for (const dir of ['rtl', 'ltr']) {
      await page.evaluate((to) => document.documentElement.setAttribute('dir', to), dir)
      if (dir === 'rtl') await screenshot(page, `views/${name}-${size}-rtl`)
      const [scrollWidth, standsOut] = await page.evaluate(outside)
      expect.soft([scrollWidth, standsOut], `${name} ${size} ${dir}`).toEqual([viewport.width, []])
    }
  }
}

/** The page's scroll width, and what can be seen that reaches beyond the window's sides. */
function outside(): [number, string[]] {
  const beyond = [...document.querySelectorAll('main *, nav *, [role="dialog"] *, [role="menu"] *, [role="log"] *')]
    .filter((element) => {
      const box = element.getBoundingClientRect()
      const clipped = element.closest('svg, .only-heard')
      return box.width > 1 && !clipped && (box.left < -1 || box.right > window.innerWidth + 1)
    })
    .map((element) => element.outerHTML.slice(0, 160))
  return [document.documentElement.scrollWidth, beyond]
}
