import { type Command, Option } from 'commander'
import { flagOf, type Settings, variableOf } from '../setting.js'

/** Adds settings to a command as options; their values stay unread text, so that flags and variables are read by one rule. */
export function addOptions(
  command: Command,
  settings: Settings,
  { variables }: { variables: boolean }
): void {
  for (const [name, setting] of Object.entries(settings)) {
    const { argument, description, defaultText, group } = setting
    const variable = variables ? ` [${variableOf(name)}]` : ''
    const option = new Option(
      argument ? `${flagOf(name)} <${argument}>` : flagOf(name),
      `${description} Default: ${defaultText}.${variable}`
    )
    option.helpGroup(`${group}:`)
    if (setting.many) option.argParser((value, values: string[] = []) => [...values, value])
    command.addOption(option)
  }
}
