import { open, rename, rm, writeFile } from 'node:fs/promises'
import { ConfigError, flagOf } from '../setting.js'

/** A file that is there whole or not at all. */
export class OutputFile {
  readonly path: string
  readonly #part: string

  private constructor(path: string) {
    this.path = path
    this.#part = `${path}.part`
  }

  /**
   * Makes sure, before anything is measured, that it can be written.
   * @param setting that names it
   * @throws {ConfigError}
   */
  static async at(setting: string, path: string): Promise<OutputFile> {
    const file = new OutputFile(path)
    try {
      await (await open(file.#part, 'w')).close()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      throw new ConfigError(`${flagOf(setting)}: expected a file that can be written, got ${path} (${code})`)
    }
    return file
  }

  async write(content: string): Promise<void> {
    await writeFile(this.#part, content)
    await rename(this.#part, this.path)
  }

  /** Nothing will be written. */
  async discard(): Promise<void> {
    await rm(this.#part, { force: true })
  }
}
