import { registrationTokenValidity } from '../../../shared/api/client/registration_tokens.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import type { Household } from '../../household/index.ts'
import { type Route, route } from '../../http/route.ts'

export const registrationTokenValidityRoutes = ({
  admission,
  registrationTokens,
}: Pick<Household, 'admission' | 'registrationTokens'>): readonly Route[] => [
  route(registrationTokenValidity, async ({ query }) => {
    if ((await admission.door()) === 'closed') throw forbidden('Registration is closed on this server')
    return { valid: await registrationTokens.isValid(query.token) }
  }),
]
