/** Before the messages: which home, who, and the recovery key. */
export { default as RecoveryView } from './RecoveryView.vue'
export { useRecoveryStore } from './recovery-store.ts'
