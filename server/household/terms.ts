import { invalidParam } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import { acceptedTermsRows, termsRows } from './store.ts'

const MAX_POLICIES = 20
const MAX_TRANSLATIONS = 100
const MAX_NAME_LENGTH = 200
const MAX_URL_LENGTH = 2_000

/** A document in one language. */
export interface PolicyTranslation {
  readonly name: string
  readonly url: string
}

/** A document: its version, and what it is called in each language. */
export type Policy = { readonly version: string } & { readonly [language: string]: PolicyTranslation | string }

/** By policy ID. Spec: client-server-api §Terms of service at registration. */
export type Policies = Readonly<Record<string, Policy>>

/** What people have to agree to before they get an account. */
export interface Terms {
  /** Empty: to nothing. */
  policies(): Promise<Policies>
  /** Replaces all; people who have an account are not asked again. @throws MatrixError 400 M_INVALID_PARAM */
  set(policies: Policies): Promise<void>
  /** Notes that a new user has agreed to the documents in the versions that they were shown. */
  acceptanceOps(userId: string, policies: Policies): readonly Op[]
}

/** The translation that a reader gets: their language, else English, else any. */
export function translationOf(policy: Policy, language: string): PolicyTranslation | undefined {
  const translations = Object.entries(policy).filter(
    (entry): entry is [string, PolicyTranslation] => typeof entry[1] === 'object',
  )
  const inLanguage = (wanted: string) => translations.find(([one]) => one.split(/[-_]/, 1)[0]?.toLowerCase() === wanted)
  return (inLanguage(language) ?? inLanguage('en') ?? translations[0])?.[1]
}

export function createTerms({ environment: { clock }, store }: { environment: Environment; store: Store }): Terms {
  return {
    async policies() {
      const row = await store.home.get(termsRows, 'terms')
      return row ? (JSON.parse(row.json) as Policies) : {}
    },

    async set(policies) {
      requirePolicies(policies)
      const isEmpty = Object.keys(policies).length === 0
      await store.commit(() => [
        isEmpty ? remove(termsRows, 'terms') : put(termsRows, { id: 'terms', json: JSON.stringify(policies) }),
      ])
    },

    acceptanceOps(userId, policies) {
      const versions = Object.fromEntries(Object.entries(policies).map(([id, { version }]) => [id, version]))
      if (Object.keys(versions).length === 0) return []
      return [put(acceptedTermsRows, { userId, json: JSON.stringify(versions), acceptedTs: clock.now() })]
    },
  }
}

/** Spec: appendices §Opaque Identifiers. */
const OPAQUE_ID = /^[0-9A-Za-z._~-]{1,255}$/
const LANGUAGE = /^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$/

/** @throws MatrixError 400 M_INVALID_PARAM */
function requirePolicies(policies: Policies): void {
  if (Object.keys(policies).length > MAX_POLICIES) throw invalidParam(`There are at most ${MAX_POLICIES} documents`)
  for (const [id, policy] of Object.entries(policies)) {
    if (!OPAQUE_ID.test(id)) throw invalidParam('The ID of a document holds only letters, digits, and . _ ~ -')
    const { version, ...translations } = policy
    if (!OPAQUE_ID.test(version)) throw invalidParam('A version holds only letters, digits, and . _ ~ -')
    const languages = Object.keys(translations)
    if (languages.length === 0 || languages.length > MAX_TRANSLATIONS) {
      throw invalidParam(`A document is there in 1 to ${MAX_TRANSLATIONS} languages`)
    }
    for (const language of languages) requireTranslation(language, translations[language])
  }
}

function requireTranslation(language: string, translation: PolicyTranslation | string | undefined): void {
  if (!LANGUAGE.test(language)) throw invalidParam('Languages are written as in RFC 5646')
  if (typeof translation !== 'object') throw invalidParam("A translation has 'name' and 'url'")
  const { name, url } = translation
  if (typeof name !== 'string' || name.trim() === '' || name.length > MAX_NAME_LENGTH) {
    throw invalidParam(`'name' has 1 to ${MAX_NAME_LENGTH} characters`)
  }
  const isWeb =
    typeof url === 'string' && url.length <= MAX_URL_LENGTH && URL.canParse(url) && /^https?:\/\//i.test(url)
  if (!isWeb) throw invalidParam("'url' is an https or http URL")
}
