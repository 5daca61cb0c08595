/** The kinds of setting: how each is written on a command line or in an environment variable, and what it then is. */

/** A setting whose value cannot be used: one line that names the flag or variable, what was expected and what came. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export interface Setting<T> {
  readonly group: string
  readonly description: string
  /** What stands for the value in help texts. */
  readonly argument: string
  readonly expected: string
  readonly default: T
  readonly defaultText: string
  /** May be given several times; an environment variable separates values by commas. */
  readonly many: boolean
  /** A value that cannot be read is not repeated in the error: it may be what must not be seen. */
  readonly secret?: true
  /** Undefined where a value cannot be read. */
  parse(values: readonly string[]): T | undefined
}

interface Words {
  readonly group: string
  readonly description: string
}

/** Of a setting that is given once: the last value counts. */
export const one =
  <T>(parse: (value: string) => T | undefined) =>
  (values: readonly string[]) =>
    parse(values[values.length - 1]!)

export function text(options: Words & { argument: string; default: string }): Setting<string> {
  return {
    ...options,
    expected: 'text',
    defaultText: options.default,
    many: false,
    parse: one((value) => value)
  }
}

/** Where a range has no end of its own: what a timer still takes. */
export const MAX_INTEGER = 2 ** 31 - 1

export function integer(
  options: Words & { min: number; max: number; default: number; argument?: string; defaultText?: string }
): Setting<number> {
  const { min, max } = options
  return {
    argument: 'n',
    defaultText: String(options.default),
    ...options,
    expected: max >= MAX_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`,
    many: false,
    parse: one((value) => {
      const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN
      return number >= min && number <= max ? number : undefined
    })
  }
}

export function real(
  options: Words & {
    argument?: string
    expected: string
    within: (value: number) => boolean
    default: number
  }
): Setting<number> {
  return {
    argument: 'x',
    defaultText: String(options.default),
    many: false,
    ...options,
    parse: one((value) => (value.trim() && options.within(Number(value)) ? Number(value) : undefined))
  }
}

/** Integers of at least 0 with commas between. */
export function integers(
  options: Words & { default: readonly number[]; argument: string }
): Setting<readonly number[]> {
  return {
    ...options,
    expected: 'integers of at least 0, with commas between',
    defaultText: options.default.join(','),
    many: false,
    parse: one((value) => (/^\d{1,9}(,\d{1,9})*$/.test(value) ? value.split(',').map(Number) : undefined))
  }
}

/** Numbers over 0 with commas between. */
export function numbers(
  options: Words & { default: readonly number[]; argument: string }
): Setting<readonly number[]> {
  return {
    ...options,
    expected: 'numbers over 0, with commas between',
    defaultText: options.default.join(',') || 'none',
    many: false,
    parse: one((value) => {
      const items = value.split(',').map((item) => (item.trim() ? Number(item) : Number.NaN))
      return items.every((item) => item > 0 && item < MAX_INTEGER) ? items : undefined
    })
  }
}

/** The same, with no value of its own: what it is then, `defaultText` says. */
export function optional<T>(setting: Setting<T>, defaultText: string): Setting<T | null> {
  return { ...setting, default: null, defaultText }
}

export function choice<T extends string>(
  options: Words & { argument: string; of: readonly T[]; default: NoInfer<T> }
): Setting<T> {
  const { of } = options
  return {
    ...options,
    expected: `one of ${of.join(', ')}`,
    defaultText: options.default,
    many: false,
    parse: one((value) => of.find((name) => name === value))
  }
}

/** On or off; on a command line the flag alone. */
export function toggle(options: Words): Setting<boolean> {
  return {
    ...options,
    argument: '',
    expected: 'no value',
    default: false,
    defaultText: 'off',
    many: false,
    parse: () => true
  }
}

export function list<T>(
  options: Words & {
    argument: string
    expected: string
    defaultText: string
    secret?: true
    parseOne: (value: string) => T | undefined
  }
): Setting<readonly T[]> {
  return {
    ...options,
    default: [],
    many: true,
    parse(values) {
      const items = values.map(options.parseOne)
      return items.some((item) => item === undefined) ? undefined : (items as T[])
    }
  }
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

export const flagOf = (name: string) => `--${kebab(name)}`
export const variableOf = (name: string) => `FEWSTEP_${kebab(name).replaceAll('-', '_').toUpperCase()}`

export type Settings = Readonly<Record<string, Setting<unknown>>>
export type Values<S extends Settings> = {
  readonly [Name in keyof S]: S[Name] extends Setting<infer T> ? T : never
}
/** Flags as a command line gives them: by name, unread. */
export type Flags<S extends Settings> = { readonly [Name in keyof S]?: string | readonly string[] }

/**
 * The value of each setting: its flag's, else its variable's, else its default. An empty variable counts as unset.
 * @throws {ConfigError}
 */
export function readSettings<S extends Settings>(
  settings: S,
  flags: Flags<S>,
  environment: NodeJS.ProcessEnv
): Values<S> {
  const entries = Object.entries(settings).map(([name, setting]) => {
    const flag = flags[name]
    if (flag !== undefined) return [name, read(setting, flagOf(name), [flag].flat())]
    const variable = environment[variableOf(name)]
    if (!variable) return [name, setting.default]
    return [name, read(setting, variableOf(name), setting.many ? variable.split(',') : [variable])]
  })
  return Object.freeze(Object.fromEntries(entries))
}

function read(setting: Setting<unknown>, source: string, values: readonly string[]): unknown {
  const value = setting.parse(values)
  if (value !== undefined) return value
  const got = setting.secret ? 'something else' : JSON.stringify(values.join(','))
  throw new ConfigError(`${source}: expected ${setting.expected}, got ${got}`)
}
