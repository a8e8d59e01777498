// built from a text, because older syntax checkers do not know the `v` flag
const ONLY_EMOJI = /^(?:\p{RGI_Emoji}\s*){1,6}$/v

/** Whether a message is nothing but a few emoji, which are then shown large. */
export function isOnlyEmoji(text: string): boolean {
  const trimmed = text.trim()
  // digits and signs are emoji to Unicode too
  return trimmed.length > 0 && trimmed.length <= 80 && !/[\d#*]/.test(trimmed) && ONLY_EMOJI.test(trimmed)
}

/** What is offered first to react with. */
export const QUICK_REACTIONS = ['❤️', '👍', '😂', '😮', '😢', '🙏'] as const
