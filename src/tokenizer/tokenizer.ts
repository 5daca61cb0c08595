/** Text to token ids and back. */
export interface Tokenizer {
  /** Token ids are below this. The mask token is not among them. */
  readonly vocabularySize: number
  /**
   * Every string has tokens; unpaired surrogates become U+FFFD.
   * @param options.limit stop once there are more tokens than this: the text is too long for its reader anyhow
   * @param options.param the field that the text is from
   * @throws {RequestError} for letters, digits or signs in one run so long that encoding them would hold up everybody
   */
  encode(text: string, options?: { limit?: number; param?: string }): number[]
  /** Bytes that are no whole character become U+FFFD. @throws {RequestError} for an id outside the vocabulary */
  decode(tokens: readonly number[]): string
  decodeToken(token: number): string
}
