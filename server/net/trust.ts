import { readFileSync } from 'node:fs'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'

/**
 * Reads the owner's certificate authorities.
 * @returns the PEM texts, one a certificate
 * @throws Error where the file cannot be read, or holds no certificate
 */
export function readTrustedCa(path: string): readonly string[] {
  const certificates = readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)
  if (!certificates) throw new Error('it holds no PEM certificate')
  // Fails for what only looks like one.
  createSecureContext({ ca: certificates })
  return certificates
}

/**
 * What outgoing TLS connections trust: the authorities that come with Node, those of the system, and the owner's.
 * Made once, since parsing them all takes many times as long as a handshake.
 */
export function trustContext(ownCertificates: readonly string[]): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ca: [...new Set([...getCACertificates('bundled'), ...getCACertificates('system'), ...ownCertificates])],
  })
}
