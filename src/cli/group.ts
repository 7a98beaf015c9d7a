/** `ptt group`: addresses that several users may send as, in the repository of [directory]; each change is one commit. */

import { Command } from 'commander'
import { readRepository } from '../directory/edit.ts'
import { addMembers, removeMembers } from '../directory/groups.ts'
import { formatMailbox } from '../smtp/path.ts'
import { type ConfigOption, configOption } from './options.ts'
import { editOptions, formatColumns, reportCommit, TAKES_EFFECT } from './repository.ts'

const NAME = 'sales, of the domain of the configuration, or sales@example.com'
const MEMBER = 'a user: alice, of the domain of the configuration, or alice@example.com'

export function groupCommand(): Command {
  return new Command('group')
    .description('look after the addresses that several users may send as')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand())
    .addHelpText(
      'after',
      `
Examples:
  ptt group add sales alice bob@example.org
  ptt group list
  ptt group remove sales alice`,
    )
}

function addCommand(): Command {
  return new Command('add')
    .description('add a group, or members to one')
    .argument('<name>', NAME)
    .argument('<member...>', MEMBER)
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt group add sales alice bob@example.org`)
    .action(async (name: string, members: string[], { config }: ConfigOption) => {
      const options = editOptions(config)
      const { group, path, commit } = await addMembers(options, name, members)
      reportCommit(`${members.join(', ')} may send as ${group}`, path, commit, options)
    })
}

function listCommand(): Command {
  return new Command('list')
    .description('list the groups, with their members')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt group list')
    .action(async ({ config }: ConfigOption) => {
      const { groups } = await readRepository(editOptions(config))
      const rows = [...groups.values()]
        .toSorted((one, other) => (one.name < other.name ? -1 : 1))
        .map(({ name, members, senders, targets }) => [
          name,
          members.join(' ') || '-',
          senders.join(' ') || '-',
          targets.map(formatMailbox).join(' ') || '-',
        ])
      process.stdout.write(formatColumns([['GROUP', 'MEMBERS', 'MAY ALSO SEND AS', 'TARGETS'], ...rows]))
    })
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove members of a group, or the group')
    .argument('<name>', NAME)
    .argument('[member...]', 'not given: the group itself')
    .addOption(configOption())
    .addHelpText(
      'after',
      `\n${TAKES_EFFECT}\n\nExamples:\n  ptt group remove sales bob\n  ptt group remove sales`,
    )
    .action(async (name: string, members: string[], { config }: ConfigOption) => {
      const options = editOptions(config)
      const { group, path, commit } = await removeMembers(options, name, members)
      const what =
        members.length === 0 ? `${group} is removed` : `${members.join(', ')} may no longer send as ${group}`
      reportCommit(what, path, commit, options)
    })
}
