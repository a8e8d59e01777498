/** JSON text in pieces, for answers of which no more than one piece is to be in memory. */
export type JsonPieces = AsyncIterable<string>

/** In UTF-16 code units: what one write to the network is worth. */
const PIECE_LENGTH = 65_536

/** One key of an object: a list of JSON texts, or one value as JSON text. */
export type Member = readonly [key: string, texts: AsyncIterable<string> | Iterable<string> | { readonly json: string }]

/** An object with these keys, in their order. */
export async function* jsonObject(members: Iterable<Member>): AsyncGenerator<string> {
  let piece = '{'
  let isFirstKey = true
  for (const [key, value] of members) {
    piece += `${isFirstKey ? '' : ','}${JSON.stringify(key)}:`
    isFirstKey = false
    if ('json' in value) {
      piece += value.json
      continue
    }
    let separator = '['
    for await (const text of value) {
      piece += separator + text
      separator = ','
      if (piece.length < PIECE_LENGTH) continue
      yield piece
      piece = ''
    }
    piece += separator === '[' ? '[]' : ']'
  }
  yield `${piece}}`
}
