/** Whom the query asks to be taken for; means something together with an application service's token only. */
export interface IdentityAssertion {
  readonly userId: string | undefined
  readonly deviceId: string | undefined
}

/** Spec: application-service-api §Identity assertion; `org.matrix.msc3202.device_id` is what MSC3202 called the device. */
export function readIdentityAssertion(queryText: string): IdentityAssertion {
  const query = new URLSearchParams(queryText)
  return {
    userId: query.get('user_id') ?? undefined,
    deviceId: query.get('device_id') ?? query.get('org.matrix.msc3202.device_id') ?? undefined,
  }
}
