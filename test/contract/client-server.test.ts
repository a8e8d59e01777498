import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listOperations, type Operation } from '../support/spec.ts'
import { compare } from './compare.ts'
import { type Declaration, listDeclarations } from './declarations.ts'
import { deliberatelyUnknown, deviations } from './deviations.ts'
import notYet from './not-yet.json' with { type: 'json' }

const operations = listOperations('client-server')
const declarations = await listDeclarations('client')
const specified = declarations.filter(({ endpoint }) => endpoint.unstable === undefined)

const operationOf = ({ endpoint }: Declaration): Operation | undefined =>
  operations.find(({ operationId, url }) => operationId === endpoint.operationId && url === endpoint.url) ??
  operations.find(({ operationId }) => operationId === endpoint.operationId)

describe('client-server-api, every declaration against its OpenAPI file', () => {
  it.each(specified.map((declaration) => [declaration.endpoint.operationId, declaration] as const))(
    '%s',
    (operationId, declaration) => {
      const operation = operationOf(declaration)
      if (!operation) throw new Error('the specification has no such operation: name its proposal in `unstable`')
      expect(declaration.file).toBe(basename(operation.file).replace(/\.yaml$/, '.ts'))
      expect(declaration.exportName).toBe(operationId)
      const allowed = deviations[operationId] ?? {}
      const faults = compare(operation, declaration.endpoint)
      expect(faults.filter((fault) => !(fault in allowed))).toEqual([])
      // An exception that is no longer needed goes.
      expect(Object.keys(allowed).filter((fault) => !faults.includes(fault))).toEqual([])
    },
  )

  it('declares no operation twice', () => {
    const seen = declarations.map(({ endpoint }) => `${endpoint.method} ${endpoint.url}`)
    expect(seen.filter((one, i) => seen.indexOf(one) !== i)).toEqual([])
  })

  it('lacks only what the list says, and the list only shrinks', () => {
    const declared = new Set(specified.map(({ endpoint }) => endpoint.operationId))
    const missing = operations.map(({ operationId }) => operationId).filter((id) => !declared.has(id))
    const expected = [...notYet['client-server'], ...Object.keys(deliberatelyUnknown)]
    expect([...new Set(missing)].sort()).toEqual(expected.sort())
  })
})
