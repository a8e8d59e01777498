import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listOperations } from '../support/spec.ts'
import { compare } from './compare.ts'
import { listDeclarations } from './declarations.ts'

const operations = listOperations('push-gateway')
const declarations = await listDeclarations('push-gateway')

describe('push-gateway-api, every operation against its declaration', () => {
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
})
