import type { WebContents } from 'electron'
import { APP_ORIGIN } from './app-scheme.ts'
import { mayOpenOutside } from './external-links.ts'

/** Is this address part of our own page? */
export function isOurs(url: string): boolean {
  return url === APP_ORIGIN || url.startsWith(`${APP_ORIGIN}/`)
}

/** Electron's list: "Disable or limit navigation", "Disable or limit creation of new windows", "Verify WebView options". */
export function limitNavigation(contents: WebContents, openOutside: (url: string) => void): void {
  const keepInside = (event: { preventDefault(): void }, url: string): void => {
    if (!isOurs(url)) event.preventDefault()
  }
  contents.on('will-navigate', (event) => keepInside(event, event.url))
  contents.on('will-redirect', (event) => keepInside(event, event.url))
  contents.on('will-frame-navigate', (event) => keepInside(event, event.url))
  contents.on('will-attach-webview', (event) => event.preventDefault())
  contents.setWindowOpenHandler(({ url }) => {
    if (mayOpenOutside(url)) openOutside(url)
    return { action: 'deny' }
  })
}
