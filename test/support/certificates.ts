/** A certificate authority of the tests' own, made anew each time: nothing here is trusted by anybody who is not told to. */
import 'reflect-metadata'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(crypto)

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 24 * 60 * 60 * 1_000

export interface Certificate {
  /** PEM. */
  readonly certificate: string
  readonly privateKey: string
}

export interface TestCa {
  /** Its own certificate in PEM, for `outbound.trusted_ca_file`. */
  readonly certificate: string
  /** @param names host names and IP addresses, the first of them the subject's */
  issue(
    names: readonly string[],
    validity?: { readonly notBefore?: Date; readonly notAfter?: Date },
  ): Promise<Certificate>
}

export async function makeTestCa(): Promise<TestCa> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const subject = 'CN=Test authority'
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: subject,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + 30 * DAY_MS),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  let serial = 1
  return {
    certificate: authority.toString('pem'),
    async issue(names, { notBefore, notAfter } = {}) {
      serial += 1
      const own = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serial.toString(16).padStart(2, '0'),
        subject: `CN=${names[0]}`,
        issuer: subject,
        notBefore: notBefore ?? new Date(Date.now() - DAY_MS),
        notAfter: notAfter ?? new Date(Date.now() + 10 * DAY_MS),
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
          ),
        ],
      })
      const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', own.privateKey))
      const lines = pkcs8.toString('base64').match(/.{1,64}/g) ?? []
      return {
        certificate: certificate.toString('pem'),
        privateKey: ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n'),
      }
    },
  }
}
