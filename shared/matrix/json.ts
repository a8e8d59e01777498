import { Type } from 'typebox'

/** JSON as the specification means it: integers only, no `undefined`. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export type JsonObject = { readonly [key: string]: Json }

/** Any JSON object, carried but not looked into. */
export const AnyObject = Type.Unsafe<JsonObject>(Type.Object({}))
