import { createI18n } from 'vue-i18n'
import { en, type Messages } from './en.ts'

/** A language of the page. To add one: a file beside `en.ts` with the same keys, and a line here. */
interface Language {
  readonly code: string
  /** Its own name for itself. */
  readonly name: string
  readonly dir: 'ltr' | 'rtl'
  readonly load: () => Promise<Messages>
}

export const LANGUAGES: readonly Language[] = [
  { code: 'en', name: 'English', dir: 'ltr', load: () => Promise.resolve(en) },
  { code: 'de', name: 'Deutsch', dir: 'ltr', load: async () => (await import('./de.ts')).de },
]

export const i18n = createI18n({
  legacy: false,
  locale: 'en',
  fallbackLocale: 'en',
  messages: { en },
  missingWarn: false,
  fallbackWarn: false,
})

/** The best of our languages for what a browser asks for. */
export function pickLanguage(wanted: readonly string[]): string {
  for (const tag of wanted) {
    const base = tag.toLowerCase().split('-')[0]
    const found = LANGUAGES.find((language) => language.code === base)
    if (found) return found.code
  }
  return 'en'
}

/** Fetches a language where needed and switches the page to it, its direction included. */
export async function setLanguage(code: string): Promise<void> {
  const language = LANGUAGES.find((one) => one.code === code) ?? LANGUAGES[0]
  if (!language) return
  const { global } = i18n
  if (!global.availableLocales.includes(language.code as 'en')) {
    global.setLocaleMessage(language.code as 'en', await language.load())
  }
  global.locale.value = language.code as 'en'
  document.documentElement.lang = language.code
  document.documentElement.dir = language.dir
}
