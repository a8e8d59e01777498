const emptyBody = 'Clients in use send no body where every key is optional, as other homeservers let them.'
const delayInQuery = 'It is how clients ask for a delayed event (MSC4140) until they know the endpoint of its own.'
const timestampMassaging = 'It is for application services alone, and described in the text of their API.'

/**
 * Where a declaration differs from the specification on purpose: by operation, the difference as the test words it, and why.
 */
export const deviations: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  deleteDevice: { 'the body may be left out': emptyBody },
  getContentThumbnailAuthed: {
    'no error with status 502 is declared': 'Media of other servers come with federation.',
  },
  getLoginFlows: {
    'no error with status 404 is declared': 'It stands for servers without these flows; we have them.',
  },
  getRoomSummary: {
    'auth is accessToken and should be signedRequest':
      'The OpenAPI file means the access token of a client, and who has none may be turned away.',
  },
  getVersions: {
    'auth is none and should be accessToken?': 'A token changes nothing, and an old one must not keep a client out.',
  },
  joinRoom: { 'the body may be left out': emptyBody },
  joinRoomById: { 'the body may be left out': emptyBody },
  knockRoom: { 'the body may be left out': emptyBody },
  leaveRoom: { 'the body may be left out': emptyBody },
  redactEvent: { 'the body may be left out': emptyBody },
  sendMessage: {
    'query parameter org.matrix.msc4140.delay is unknown': delayInQuery,
    'query parameter ts is unknown': timestampMassaging,
  },
  setRoomStateWithKey: {
    'query parameter org.matrix.msc4140.delay is unknown': delayInQuery,
    'query parameter ts is unknown': timestampMassaging,
  },
  sync: {
    'reply key device_unused_fallback_key_types is unknown':
      'The end-to-end encryption module describes it in its text; the OpenAPI file forgot it.',
  },
}

/** Operations that are answered as unknown for good, and why. */
export const deliberatelyUnknown: Readonly<Record<string, string>> = {
  getEvents: 'Deprecated since r0 in favor of `/sync`; no client in use calls it.',
  initialSync: 'Deprecated since r0 in favor of `/sync`; no client in use calls it.',
  peekEvents: 'The same path as `getEvents`; a world-readable room is followed with `/messages`.',
}
