import { Type } from 'typebox'
import { channel } from './channel.ts'

/** Where the home's own server answers, and the code that claims it while nobody has. */
export const homeAddress = channel({
  name: 'home.address',
  request: Type.Null(),
  reply: Type.Object({ url: Type.String(), claimCode: Type.Union([Type.String(), Type.Null()]) }),
})
