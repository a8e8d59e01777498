/** The application service whose people make a crowd: thousands of password hashes would take longer than all else. */
export const registration = {
  id: 'bench',
  url: null,
  as_token: 'as-token-of-the-benchmark',
  hs_token: 'hs-token-of-the-benchmark',
  sender_localpart: 'bench',
  rate_limited: false,
  namespaces: { users: [{ regex: '@crowd_.*', exclusive: true }], rooms: [], aliases: [] },
}
