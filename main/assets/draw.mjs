// Draws the app's icons anew from the page's: `node main/assets/draw.mjs`, whenever renderer/public/icon.svg has changed.
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))

// Systems make their smaller sizes of the first; the tray's are in points of 1 and 1/2 pixel.
const icons = { 'icon.png': 1024, 'tray.png': 20, 'tray@2x.png': 40 }
for (const [name, size] of Object.entries(icons)) {
  const density = (72 * size) / 512
  await sharp(at('../../renderer/public/icon.svg'), { density: Math.max(density, 72) })
    .resize(size, size)
    .png({ compressionLevel: 9 })
    .toFile(at(name))
}
