import type { Store } from '../store/index.ts'
import { accountDataRows, profileRows } from './store.ts'

const ROWS_AT_ONCE = 500

/** JSON texts of all profiles and of everybody's account data. What changes meanwhile may or may not be among them. */
export async function* storedTexts({ home }: Store): AsyncGenerator<string> {
  for (const { json } of await home.range(profileRows, { index: 'userId' })) yield json
  for (let from = ''; ; ) {
    const rows = await home.range(accountDataRows, { index: 'id', from, limit: ROWS_AT_ONCE })
    for (const { json } of rows) yield json
    const last = rows.at(-1)
    if (!last || rows.length < ROWS_AT_ONCE) return
    from = `${last.id}\u0000`
  }
}
