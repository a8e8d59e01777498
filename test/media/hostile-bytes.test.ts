import { describe, expect, it } from 'vitest'
import { parseApng } from '../../server/media/apng.ts'
import { decodeText } from '../../server/media/url-previews/charset.ts'
import { readPage } from '../../server/media/url-previews/page-facts.ts'
import { plainHtml } from '../../server/media/url-previews/plain-html.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { makeApng } from './apng-writer.ts'

const pieces = [
  '<',
  '>',
  '</',
  '<!--',
  '-->',
  '<!',
  '<?',
  '"',
  "'",
  '=',
  ' ',
  '/',
  '&',
  '&lt;',
  '&quot;',
  '\0',
  '\ud800',
  'é',
  'title',
  'meta',
  'property=',
  'og:title',
  'og:image',
  'content=',
  'script',
  'p',
  'h1',
  'svg',
  'link',
  'br',
  '<title>',
  '</title>',
  '<meta property="og:title" content="x">',
  '<p>',
  '</p>',
  '<script>',
  '</script',
  'charset=',
  'utf-16',
  'x',
]

describe('whatever bytes come', () => {
  it('is a page rewritten to tags that read in one way only, and of bounded size', async () => {
    const random = seededRandom(7)
    for (let i = 0; i < 3_000; i += 1) {
      const html = Array.from({ length: 60 }, () => pieces[Math.floor(random.number() * pieces.length)]).join('')
      const plain = plainHtml(html)
      const body = plain.slice('<!doctype html><html><body>'.length, -'</body></html>'.length)
      // Text, closed tags, and the five elements with quoted attributes: nothing else.
      const tag = /<\/?(title|h1|p)>|<(title|meta|link|h1|p)( [a-z]+="[^"]*")*>/g
      expect([html, body.replaceAll(tag, '')]).toEqual([html, expect.not.stringContaining('<')])
      if (i % 10 === 0) await readPage(html, 'https://example.org/')
    }
  })

  it('is text decoded, whatever it says of itself', () => {
    const random = seededRandom(8)
    for (let i = 0; i < 500; i += 1) {
      const said = pieces[Math.floor(random.number() * pieces.length)]
      const text = decodeText(random.bytes(200), `text/html; charset=${said}`)
      expect(typeof text).toBe('string')
    }
  })

  it('is an animated PNG read or not, and never more than allowed', async () => {
    const random = seededRandom(9)
    const frame = { color: '#f00', width: 10, height: 10 }
    const apng = await makeApng([frame, frame, frame])
    for (let i = 0; i < 3_000; i += 1) {
      const isCut = random.number() < 0.3
      const broken = Buffer.from(apng.subarray(0, isCut ? Math.floor(random.number() * apng.length) : undefined))
      for (let changes = 0; changes < 4 && broken.length > 0; changes += 1) {
        broken[Math.floor(random.number() * broken.length)] = Math.floor(random.number() * 256)
      }
      const found = parseApng(broken, { frames: 3, pixels: 300 })
      if (!found) continue
      expect(found.frames.length).toBeLessThanOrEqual(3)
      expect(found.width * found.height * found.frames.length).toBeLessThanOrEqual(300)
      for (const { left, top, width, height } of found.frames) {
        expect(left + width <= found.width && top + height <= found.height).toBe(true)
      }
    }
  })
})
