/**
 * Whether pushes may go there: over TLS, or without only to this machine, where the guard of outgoing requests allows that at
 * all.
 */
export function isPushUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  const isLoopback = /^(127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
  return username === '' && password === '' && (protocol === 'https:' || (protocol === 'http:' && isLoopback))
}
