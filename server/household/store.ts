import { collection } from '../store/index.ts'

export type HomeRow = {
  readonly id: 'home'
  readonly name: string
}
/** One row, once the home has a name. */
export const homeRows = collection<HomeRow>({ name: 'household', place: 'home', key: 'id', indexes: [] })
