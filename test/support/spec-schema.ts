/** Checks answers and events against the specification's own schemas. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { listOperations, loadSpecFile, type Operation, requireSpec, type Schema, specFolder } from './spec.ts'

// The formats of identifiers have tests of their own; the files use keywords of their own, too.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
const validators = new Map<string, ValidateFunction>()
/** By the side that is asked, since both have operations of the same name. */
const operations = new Map<Side, ReadonlyMap<string, Operation>>()
type Side = 'client' | 'server'

function operationOf(operationId: string, side: Side): Operation {
  const known =
    operations.get(side) ??
    new Map(
      (side === 'client'
        ? [...listOperations('client-server'), ...listOperations('push-gateway')]
        : listOperations('server-server')
      ).map((operation) => [operation.operationId, operation]),
    )
  operations.set(side, known)
  const operation = known.get(operationId)
  if (!operation) throw new Error(`the specification has no operation ${operationId}`)
  return operation
}

/**
 * What is wrong with the JSON of a 200, by the specification's schema for this operation of the client-server or the push gateway API.
 * @returns sentences; none when it is as promised
 */
export function faultsOfReply(operationId: string, body: unknown): readonly string[] {
  return faultsBy('client', operationId, body)
}

/** As `faultsOfReply`, for an operation of the server-server API. */
export const faultsOfServerReply = (operationId: string, body: unknown): readonly string[] =>
  faultsBy('server', operationId, body)

function faultsBy(side: Side, operationId: string, body: unknown): readonly string[] {
  const { reply } = operationOf(operationId, side)
  if (!reply) throw new Error(`the specification describes no JSON for a 200 of ${operationId}`)
  return faults(`${side} reply ${operationId}`, () => reply, body)
}

/**
 * What is wrong with an event as clients get it, by the schema of its type; an event of an unknown type has no faults.
 * @param event with `type` and, for state events, `state_key`
 */
export function faultsOfEvent(event: { readonly type: string }): readonly string[] {
  requireSpec()
  const file = `data/event-schemas/schema/${event.type}.yaml`
  if (!/^[a-z0-9._]+$/.test(event.type) || !existsSync(join(specFolder, file))) return []
  return faults(`event ${event.type}`, () => loadSpecFile(file) as Schema, event)
}

function faults(name: string, schemaOf: () => Schema, value: unknown): readonly string[] {
  const validate = validators.get(name) ?? ajv.compile(schemaOf())
  validators.set(name, validate)
  if (validate(value)) return []
  return (validate.errors ?? []).map((error) => `${error.instancePath || '/'} ${error.message ?? error.keyword}`)
}
