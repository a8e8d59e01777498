const DAY_MS = 86_400_000

/** The calendar day of a time where the reader is, as `2026-11-24`. */
export function dayOf(ts: number): string {
  const date = new Date(ts)
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`
}

/** Days from one time's day to another's; 0 for the same day, 1 for the day after. */
export function daysBetween(ts: number, now: number): number {
  const noon = (time: number): number => {
    const date = new Date(time)
    return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())
  }
  return Math.round((noon(now) - noon(ts)) / DAY_MS)
}

/** How to say when, in a list: the time today, the weekday this week, else the date. */
export function shortWhen(ts: number, now: number, locale: string): string {
  const days = daysBetween(ts, now)
  const options: Intl.DateTimeFormatOptions =
    days <= 0
      ? { hour: 'numeric', minute: '2-digit' }
      : days < 7
        ? { weekday: 'short' }
        : new Date(ts).getFullYear() === new Date(now).getFullYear()
          ? { day: 'numeric', month: 'short' }
          : { day: 'numeric', month: 'numeric', year: '2-digit' }
  return new Intl.DateTimeFormat(locale, options).format(ts)
}

/** The time of day. */
export function timeOf(ts: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' }).format(ts)
}

/** A day in full, for the line between days. */
export function longDay(ts: number, now: number, locale: string): string {
  const isThisYear = new Date(ts).getFullYear() === new Date(now).getFullYear()
  return new Intl.DateTimeFormat(locale, {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    ...(isThisYear ? {} : { year: 'numeric' }),
  }).format(ts)
}

/** A moment in full, for tooltips and screen readers. */
export function fullWhen(ts: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'short' }).format(ts)
}

/** A size as people say it: `3.4 MB`. */
export function sayBytes(bytes: number, locale: string): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const
  let value = bytes
  let at = 0
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000
    at++
  }
  return new Intl.NumberFormat(locale, {
    style: 'unit',
    unit: units[at] ?? 'byte',
    maximumFractionDigits: at > 1 && value < 100 ? 1 : 0,
  }).format(value)
}
