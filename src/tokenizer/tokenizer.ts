/** Text to token ids and back. No text is special: `<|endoftext|>` in it is characters like any other. */
export interface Tokenizer {
  /** Ids run from 0 to one less than this. A mask token is no part of it: no text encodes to one. */
  readonly vocabularySize: number
  /**
   * Lone surrogates become U+FFFD. A text of more than `limit` tokens may be encoded only so far that the
   * answer is longer than `limit`: refusing a huge text then costs little.
   */
  encode(text: string, limit?: number): number[]
  /**
   * A character that is cut at either end becomes U+FFFD.
   * @throws {RequestError} for an id outside the vocabulary
   */
  decode(tokens: readonly number[]): string
  /** One token alone as text, remembered. */
  decodeToken(token: number): string
}
