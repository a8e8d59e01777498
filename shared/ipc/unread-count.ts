import { Type } from 'typebox'
import { channel } from './channel.ts'

/** Shows how many messages wait, on the app's icon. */
export const showUnreadCount = channel({
  name: 'unread.show',
  request: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
  reply: Type.Null(),
})
