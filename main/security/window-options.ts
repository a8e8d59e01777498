import type { WebPreferences } from 'electron'

/**
 * Electron's list: "Enable process sandboxing", "Enable context isolation", "Do not enable Node.js integration",
 * "Do not disable webSecurity", "Do not enable experimental features".
 */
export function secureWebPreferences(preload: string): WebPreferences {
  return {
    preload,
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    webviewTag: false,
    navigateOnDragDrop: false,
    // Elsewhere Chromium fetches dictionaries from its maker; macOS has its own.
    spellcheck: process.platform === 'darwin',
  }
}
