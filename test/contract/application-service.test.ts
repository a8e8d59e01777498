import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listOperations } from '../support/spec.ts'
import { compare } from './compare.ts'
import { listDeclarations } from './declarations.ts'

const operations = listOperations('application-service')
const declarations = await listDeclarations('appservice')

describe('application-service-api, every operation against its declaration', () => {
  it.each(operations.map((operation) => [operation.operationId, operation] as const))(
    '%s',
    (operationId, operation) => {
      const declaration = declarations.find(({ endpoint }) => endpoint.operationId === operationId)
      if (!declaration) throw new Error('there is no such declaration')
      expect(declaration.file).toBe(basename(operation.file).replace(/\.yaml$/, '.ts'))
      expect(declaration.exportName).toBe(operationId)
      expect(compare(operation, declaration.endpoint)).toEqual([])
    },
  )

  it('declares nothing else', () => {
    const known = new Set(operations.map(({ operationId }) => operationId))
    expect(declarations.filter(({ endpoint }) => !known.has(endpoint.operationId))).toEqual([])
  })
})
