import { type Registration, RegistrationError, readRegistrations } from '../appservices/index.ts'
import { readTrustedCa } from '../net/index.ts'
import type { Config } from './config.ts'
import { StartError } from './start-error.ts'

/** What the configuration names files for, read at the start. */
export interface Inputs {
  /** PEM certificates trusted besides the system's. */
  readonly trustedCa: readonly string[]
  readonly applicationServices: readonly Registration[]
}

/** @throws StartError that names the key */
export async function readInputs(config: Config): Promise<Inputs> {
  const { trusted_ca_file } = config.outbound
  return {
    trustedCa: trusted_ca_file === null ? [] : trustedCaOf(trusted_ca_file),
    applicationServices: await applicationServicesOf(config),
  }
}

function trustedCaOf(path: string): readonly string[] {
  try {
    return readTrustedCa(path)
  } catch (cause) {
    throw new StartError(`outbound.trusted_ca_file ${path}: ${(cause as Error).message}`, { cause })
  }
}

async function applicationServicesOf(config: Config): Promise<readonly Registration[]> {
  const folder = config.application_services_dir
  if (folder === null) return []
  try {
    return await readRegistrations(folder, config.server_name)
  } catch (cause) {
    if (!(cause instanceof RegistrationError)) throw cause
    throw new StartError(`application_services_dir: ${cause.message}`, { cause })
  }
}
