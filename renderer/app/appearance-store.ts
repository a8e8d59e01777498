import { defineStore } from 'pinia'
import { ref } from 'vue'
import { pickLanguage, setLanguage } from '../i18n/index.ts'

export type Theme = 'system' | 'light' | 'dark'

const THEME_KEY = 'hearth.theme'
const LANGUAGE_KEY = 'hearth.language'

/** Light or dark, and the language. Kept on the device, before anybody has signed in too. */
export const useAppearanceStore = defineStore('appearance', () => {
  const theme = ref<Theme>('system')
  const language = ref('en')

  function setTheme(next: Theme): void {
    theme.value = next
    if (next === 'system') {
      delete document.documentElement.dataset.theme
      localStorage.removeItem(THEME_KEY)
    } else {
      document.documentElement.dataset.theme = next
      localStorage.setItem(THEME_KEY, next)
    }
  }

  async function chooseLanguage(code: string): Promise<void> {
    await setLanguage(code)
    language.value = code
    localStorage.setItem(LANGUAGE_KEY, code)
  }

  /** Takes up what was chosen last time, before the first paint. */
  async function start(): Promise<void> {
    const kept = localStorage.getItem(THEME_KEY)
    setTheme(kept === 'light' || kept === 'dark' ? kept : 'system')
    const code = localStorage.getItem(LANGUAGE_KEY) ?? pickLanguage(navigator.languages)
    await setLanguage(code)
    language.value = code
  }

  return { theme, language, setTheme, chooseLanguage, start }
})
