import { ref } from 'vue'
import { desktopClaimCode } from '../app/desktop.ts'

const KEY = 'hearth.claim'
const NAME_KEY = 'hearth.claim.name'

/** The code that claims a new home, as far as it is known; empty where it must be asked for. */
export const claimCode = ref('')

/** Keeps the code that stood in the page's address, for this tab only: loading the page anew must not lose it. */
export function keepClaimCode(code: string): void {
  claimCode.value = code
  sessionStorage.setItem(KEY, code)
}

/** Looks where the code may be known without asking: kept before, or told by the app that started the server. */
export async function lookForClaimCode(): Promise<void> {
  if (claimCode.value !== '') return
  claimCode.value = sessionStorage.getItem(KEY) ?? (await desktopClaimCode()) ?? ''
}

/** Keeps the name that the home is to have, for this tab only, until it has it. */
export function keepHomeName(name: string): void {
  sessionStorage.setItem(NAME_KEY, name)
}

export function keptHomeName(): string {
  return sessionStorage.getItem(NAME_KEY) ?? ''
}

/** The home has been claimed: nothing of that is needed any more. */
export function forgetClaim(): void {
  claimCode.value = ''
  sessionStorage.removeItem(KEY)
  sessionStorage.removeItem(NAME_KEY)
}
