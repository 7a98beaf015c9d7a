/** `ptt alias`: addresses that lead elsewhere, in the repository of [directory]; each change is one commit. */

import { Command } from 'commander'
import { addAlias, removeAlias } from '../directory/aliases.ts'
import { readRepository } from '../directory/edit.ts'
import { formatMailbox } from '../smtp/path.ts'
import { type ConfigOption, configOption } from './options.ts'
import { editOptions, formatColumns, reportCommit, TAKES_EFFECT } from './repository.ts'

const NAME = 'sales, of the domain of the configuration, or sales@example.com'
const TARGET = "alice, of the alias's domain, or alice@elsewhere.example"

export function aliasCommand(): Command {
  return new Command('alias')
    .description('look after the addresses that lead elsewhere')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand())
    .addHelpText(
      'after',
      `
To send as an address, see ptt user grant and ptt group.

Examples:
  ptt alias add sales alice bob@example.org
  ptt alias list
  ptt alias remove sales bob@example.org`,
    )
}

function addCommand(): Command {
  return new Command('add')
    .description('add an alias, or targets to one')
    .argument('<name>', NAME)
    .argument('<target...>', TARGET)
    .addOption(configOption())
    .addHelpText(
      'after',
      `\n${TAKES_EFFECT}\n\nExample:\n  ptt alias add sales alice bob@example.org carol@elsewhere.example`,
    )
    .action(async (name: string, targets: string[], { config }: ConfigOption) => {
      const options = editOptions(config)
      const { alias, path, commit } = await addAlias(options, name, targets)
      reportCommit(`${alias} leads to ${targets.join(', ')}`, path, commit, options)
    })
}

function listCommand(): Command {
  return new Command('list')
    .description('list the aliases, with where they lead')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt alias list')
    .action(async ({ config }: ConfigOption) => {
      const { aliases } = await readRepository(editOptions(config))
      const rows = [...aliases]
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
        .map(([name, targets]) => [name, targets.map(formatMailbox).join(' ') || '-'])
      process.stdout.write(formatColumns([['ALIAS', 'TARGETS'], ...rows]))
    })
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove targets of an alias, or the alias')
    .argument('<name>', NAME)
    .argument('[target...]', 'not given: all, and the alias with them')
    .addOption(configOption())
    .addHelpText(
      'after',
      `\n${TAKES_EFFECT}\n\nExamples:\n  ptt alias remove sales bob\n  ptt alias remove sales`,
    )
    .action(async (name: string, targets: string[], { config }: ConfigOption) => {
      const options = editOptions(config)
      const { alias, path, commit } = await removeAlias(options, name, targets)
      const what = targets.length === 0 ? 'is removed' : `no longer leads to ${targets.join(', ')}`
      reportCommit(`${alias} ${what}`, path, commit, options)
    })
}
