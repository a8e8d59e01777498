const emptyBody = 'Clients in use send no body where every key is optional, as other homeservers let them.'
const delayInQuery = 'It is how clients ask for a delayed event (MSC4140) until they know the endpoint of its own.'
const oldVia = 'What `via` was called before version 1.12 of the specification; clients and links in use still have it.'
const timestampMassaging = 'It is for application services alone, and described in the text of their API.'

/**
 * Where a declaration differs from the specification on purpose: by operation, the difference as the test words it, and why.
 */
export const deviations: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  deleteDevice: { 'the body may be left out': emptyBody },
  getContentThumbnail: {
    'no error with status 502 is declared':
      'It has the same code as 413, M_TOO_LARGE, and one code has one status here.',
  },
  getContentThumbnailAuthed: {
    'no error with status 502 is declared':
      'It has the same code as 413, M_TOO_LARGE, and one code has one status here.',
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
  inviteUser: {
    'required body keys is none and should be user_id':
      'The same path takes the body of inviteBy3PID, which has no user ID.',
  },
  joinRoom: { 'the body may be left out': emptyBody, 'query parameter server_name is unknown': oldVia },
  joinRoomById: { 'the body may be left out': emptyBody },
  knockRoom: { 'the body may be left out': emptyBody, 'query parameter server_name is unknown': oldVia },
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
  inviteBy3PID:
    'The same path as `inviteUser`, whose declaration has the keys of both; it is refused with M_THREEPID_DENIED.',
  initialSync: 'Deprecated since r0 in favor of `/sync`; no client in use calls it.',
  peekEvents: 'The same path as `getEvents`; a world-readable room is followed with `/messages`.',
}

const namedKey = 'Servers of before v1.6 of the specification name a key at the end of the path.'

/** As `deviations`, for the server-server API. */
export const serverDeviations: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  getContentThumbnail: {
    'no error with status 502 is declared':
      'It has the same code as 413, M_TOO_LARGE, and one code has one status here.',
  },
  getEventByTimestamp: {
    'auth is signedRequest and should be accessToken':
      'The OpenAPI file has the name of the client-server scheme; servers have no access tokens.',
  },
  getServerKey: {
    'path parameter keyId is unknown': namedKey,
    'required path parameters is keyId and should be none': namedKey,
  },
  perspectivesKeyQuery: {
    'path parameter keyId is unknown': namedKey,
    'required path parameters is keyId, serverName and should be serverName': namedKey,
  },
}
