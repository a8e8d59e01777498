import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AnyObject } from '../../shared/matrix/json.ts'
import { listOperations, type Operation } from '../support/spec.ts'
import { compare } from './compare.ts'
import { type Declaration, listDeclarations } from './declarations.ts'
import { serverDeviations } from './deviations.ts'
import notYet from './not-yet.json' with { type: 'json' }

const operations = listOperations('server-server')
const declarations = await listDeclarations('federation')

const operationOf = ({ endpoint }: Declaration): Operation | undefined =>
  operations.find(({ operationId }) => operationId === endpoint.operationId)

/** Bodies that are events are declared as any object: the pipeline judges them, not the edge. */
const isEvent = ({ endpoint }: Declaration): boolean => endpoint.body === AnyObject

describe('server-server-api, every declaration against its OpenAPI file', () => {
  it.each(declarations.map((declaration) => [declaration.endpoint.operationId, declaration] as const))(
    '%s',
    (operationId, declaration) => {
      const operation = operationOf(declaration)
      if (!operation) throw new Error('the specification has no such operation')
      expect(declaration.file).toBe(basename(operation.file).replace(/\.yaml$/, '.ts'))
      expect(declaration.exportName).toBe(operationId)
      const allowed = serverDeviations[operationId] ?? {}
      const faults = compare(operation, declaration.endpoint).filter(
        (fault) => !(isEvent(declaration) && /^(body key|required body keys) /.test(fault)),
      )
      expect(faults.filter((fault) => !(fault in allowed))).toEqual([])
      expect(Object.keys(allowed).filter((fault) => !faults.includes(fault))).toEqual([])
    },
  )

  it('declares no operation twice', () => {
    const seen = declarations.map(({ endpoint }) => `${endpoint.method} ${endpoint.url}`)
    expect(seen.filter((one, i) => seen.indexOf(one) !== i)).toEqual([])
  })

  it('lacks only what the list says, and the list only shrinks', () => {
    const declared = new Set(declarations.map(({ endpoint }) => endpoint.operationId))
    const missing = operations.map(({ operationId }) => operationId).filter((id) => !declared.has(id))
    expect([...new Set(missing)].sort()).toEqual([...notYet['server-server']].sort())
  })
})
