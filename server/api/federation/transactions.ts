import { sendTransaction } from '../../../shared/api/federation/transactions.ts'
import { badJson } from '../../../shared/matrix/errors.ts'
import type { IncomingTransactions } from '../../federation/index.ts'
import { type Route, route } from '../../http/route.ts'

export const transactionsRoutes = (transactions: IncomingTransactions): readonly Route[] => [
  route(sendTransaction, async ({ path, body, requester }) => {
    const origin = requester.serverName
    if (body.origin !== origin) throw badJson('origin is not the server that signed the request')
    const pdus = await transactions.receive({ origin, txnId: path.txnId, pdus: body.pdus, edus: body.edus ?? [] })
    return { pdus }
  }),
]
