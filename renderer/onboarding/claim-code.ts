import { ref } from 'vue'
import { desktopClaimCode } from '../app/desktop.ts'

const KEY = 'hearth.claim'

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

export function forgetClaimCode(): void {
  claimCode.value = ''
  sessionStorage.removeItem(KEY)
}
