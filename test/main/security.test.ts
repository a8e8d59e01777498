import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Session, WebContents } from 'electron'
import { Type } from 'typebox'
import { describe, expect, it, vi } from 'vitest'
import { register } from '../../main/ipc/register.ts'
import { APP_SCHEME_PRIVILEGES, CONTENT_SECURITY_POLICY, fileOf, serveApp } from '../../main/security/app-scheme.ts'
import { mayOpenOutside } from '../../main/security/external-links.ts'
import { limitNavigation } from '../../main/security/navigation.ts'
import { limitPermissions, mayHave } from '../../main/security/permissions.ts'
import { secureWebPreferences } from '../../main/security/window-options.ts'
import { channel } from '../../shared/ipc/channel.ts'

describe("Electron's security list › windows", () => {
  it('sandboxes the page, isolates its context and gives it no Node', () => {
    expect(secureWebPreferences('/p.cjs')).toMatchObject({
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      webviewTag: false,
    })
  })

  it('serves the page from a standard, secure origin of its own', () => {
    expect(APP_SCHEME_PRIVILEGES.privileges).toMatchObject({ standard: true, secure: true })
    expect(CONTENT_SECURITY_POLICY).toContain("script-src 'self' 'wasm-unsafe-eval'")
    expect(CONTENT_SECURITY_POLICY).not.toMatch(/script-src[^;]*(unsafe-inline|'unsafe-eval'|\*)/)
  })
})

describe("Electron's security list › navigation and new windows", () => {
  function contentsWithLimits() {
    const handlers = new Map<string, (event: { url: string; preventDefault(): void }) => void>()
    let openHandler: ((details: { url: string }) => { action: string }) | undefined
    const opened: string[] = []
    const contents = {
      on: (name: string, handler: (event: { url: string; preventDefault(): void }) => void) =>
        handlers.set(name, handler),
      setWindowOpenHandler: (handler: (details: { url: string }) => { action: string }) => {
        openHandler = handler
      },
    }
    limitNavigation(contents as unknown as WebContents, (url) => opened.push(url))
    const prevents = (name: string, url: string): boolean => {
      const preventDefault = vi.fn()
      handlers.get(name)?.({ url, preventDefault })
      return preventDefault.mock.calls.length > 0
    }
    return { prevents, open: (url: string) => openHandler?.({ url }), opened }
  }

  it.each(['will-navigate', 'will-redirect', 'will-frame-navigate'])('keeps the page at home on %s', (name) => {
    const { prevents } = contentsWithLimits()
    expect(prevents(name, 'https://evil.example/')).toBe(true)
    expect(prevents(name, 'hearth://app.evil.example/')).toBe(true)
    expect(prevents(name, 'file:///etc/passwd')).toBe(true)
    expect(prevents(name, 'hearth://app/rooms')).toBe(false)
  })

  it('never opens a window, hands web links to the system, and refuses all webviews', () => {
    const { open, opened, prevents } = contentsWithLimits()
    expect(open('https://example.org/')).toEqual({ action: 'deny' })
    expect(open('file:///etc/passwd')).toEqual({ action: 'deny' })
    expect(opened).toEqual(['https://example.org/'])
    expect(prevents('will-attach-webview', 'hearth://app/')).toBe(true)
  })

  it.each([
    ['https://example.org/a?b#c', true],
    ['mailto:anna@example.org', true],
    ['javascript:alert(1)', false],
    ['file:///etc/passwd', false],
    ['smb://server/share', false],
    ['https://bank.example@evil.example/', false],
    ['not a link', false],
  ])('opens %s outside: %s', (url, expected) => {
    expect(mayOpenOutside(url)).toBe(expected)
  })
})

describe("Electron's security list › permissions", () => {
  it('grants by name and to our own page only', () => {
    expect(mayHave('notifications', 'hearth://app/')).toBe(true)
    expect(mayHave('media', 'hearth://app')).toBe(true)
    expect(mayHave('geolocation', 'hearth://app/')).toBe(false)
    expect(mayHave('media', 'https://evil.example/')).toBe(false)
    expect(mayHave('media', 'hearth://app.evil.example/')).toBe(false)
  })

  it('installs both handlers and refuses devices and frames', () => {
    const handlers: Record<string, (...args: never[]) => unknown> = {}
    const session = {
      setPermissionRequestHandler: (handler: never) => (handlers.request = handler),
      setPermissionCheckHandler: (handler: never) => (handlers.check = handler),
      setDevicePermissionHandler: (handler: never) => (handlers.device = handler),
    }
    limitPermissions(session as unknown as Session)
    const ask = (isMainFrame: boolean): unknown => {
      const callback = vi.fn()
      const contents = { getURL: () => 'hearth://app/' }
      ;(handlers.request as (...args: unknown[]) => void)(contents, 'media', callback, { isMainFrame })
      return callback.mock.calls[0]?.[0]
    }
    expect(ask(true)).toBe(true)
    expect(ask(false)).toBe(false)
    expect((handlers.device as () => boolean)()).toBe(false)
  })
})

describe('the page’s own addresses', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-page-'))
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Hearth</title>')
  writeFileSync(join(folder, 'assets', 'a.js'), 'export {}')

  it('serves built files with the policy, and the page for its router’s addresses', async () => {
    const script = await serveApp({ url: 'hearth://app/assets/a.js' }, folder)
    expect(script.status).toBe(200)
    expect(script.headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY)
    expect(script.headers.get('x-content-type-options')).toBe('nosniff')
    expect(await (await serveApp({ url: 'hearth://app/rooms/x' }, folder)).text()).toContain('Hearth')
    expect((await serveApp({ url: 'hearth://app/assets/none.js' }, folder)).status).toBe(404)
  })

  it.each([
    'hearth://app/..%2f..%2fetc/passwd.js',
    'hearth://app/%2e%2e/%2e%2e/etc/hosts.js',
    'hearth://app/assets/%00.js',
    'hearth://app/%E0%A4%A.js',
    'hearth://other/assets/a.js',
  ])('leads nowhere outside: %s', (url) => {
    const file = fileOf(url, folder)
    expect(file === undefined || file.startsWith(folder)).toBe(true)
  })
})

describe('IPC', () => {
  const question = channel({ name: 'test.question', request: Type.Integer(), reply: Type.String() })
  const ours = { url: 'hearth://app/', parent: null }

  function registered(handle: (request: number) => Promise<string>) {
    let invoke: ((event: unknown, request: unknown) => Promise<unknown>) | undefined
    register({ handle: (_name, listener) => (invoke = listener as typeof invoke) }, question, handle)
    return (senderFrame: unknown, request: unknown) => invoke?.({ senderFrame }, request)
  }

  it('answers our own page’s top frame', async () => {
    await expect(registered(async (n) => `got ${n}`)(ours, 5)).resolves.toBe('got 5')
  })

  it.each([
    ['another origin', { url: 'https://evil.example/', parent: null }, 5],
    ['a frame within the page', { url: 'hearth://app/', parent: ours }, 5],
    ['a frame that is gone', null, 5],
    ['a request that does not fit', ours, 'five'],
  ])('refuses %s before the handler runs', async (_what, frame, request) => {
    const handle = vi.fn(async () => 'never')
    await expect(registered(handle)(frame, request)).rejects.toThrow()
    expect(handle).not.toHaveBeenCalled()
  })
})
