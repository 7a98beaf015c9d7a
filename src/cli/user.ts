/** `ptt user`: users are files in the repository of [directory]; each change is one commit. */

import { Command } from 'commander'
import { passwordParameters } from '../directory/app-passwords.ts'
import type { User } from '../directory/directory.ts'
import { type EditOptions, readRepository } from '../directory/edit.ts'
import { makeVerifier, type Verifier } from '../directory/password.ts'
import { addUser, type Done, removeUser, setPassword } from '../directory/users.ts'
import { formatMailbox } from '../smtp/path.ts'
import { type ConfigOption, configOption } from './options.ts'
import { readNewPassword } from './read-password.ts'
import { editOptions, formatColumns, NAME, reportCommit, TAKES_EFFECT } from './repository.ts'
import { appPasswordCommand } from './user-app-password.ts'
import { grantCommand, limitCommand, resumeCommand, revokeCommand, suspendCommand } from './user-rights.ts'
import { usageCommand } from './user-usage.ts'

interface AddOptions extends ConfigOption {
  readonly sender?: readonly string[]
}

export function userCommand(): Command {
  return new Command('user')
    .description('look after the users in the Git repository')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(passwdCommand())
    .addCommand(appPasswordCommand())
    .addCommand(suspendCommand())
    .addCommand(resumeCommand())
    .addCommand(grantCommand())
    .addCommand(revokeCommand())
    .addCommand(limitCommand())
    .addCommand(usageCommand())
    .addCommand(removeCommand())
    .addHelpText(
      'after',
      `
${TAKES_EFFECT}

Examples:
  ptt user add alice                          asks for the password
  ptt user grant alice info                   may send as info@example.com too
  ptt user app-password add alice phone       a password for one program
  ptt user suspend alice 'Call 555-0100'
  ptt user list`,
    )
}

function addCommand(): Command {
  return new Command('add')
    .description('add a user; asks for the password, or reads it from standard input')
    .argument('<name>', NAME)
    .option('-s, --sender <pattern...>', 'what the user may send as, beside the own address')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
A pattern is alice, alice@example.com or *@news.example.com, in the user's domain or beneath it.
${TAKES_EFFECT}

Examples:
  ptt user add alice
  ptt user add bob@example.com --sender sales '*@news.example.com'
  openssl rand -base64 18 | tee password | ptt user add printer`,
    )
    .action(async (name: string, { config, sender = [] }: AddOptions) => {
      const options = editOptions(config)
      const done = await addUser(options, { name, senders: sender, verifier: await newVerifier(name) })
      report(`${done.user} added`, done, options)
    })
}

function listCommand(): Command {
  return new Command('list')
    .description('list the users, with what each may send as')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt user list')
    .action(async ({ config }: ConfigOption) => {
      const { users } = await readRepository(editOptions(config))
      process.stdout.write(table([...users.values()]))
    })
}

function passwdCommand(): Command {
  return new Command('passwd')
    .description("change a user's password; asks for it, or reads it from standard input")
    .argument('<name>', NAME)
    .addOption(configOption())
    .addHelpText(
      'after',
      `
A user of the original ptt's layout moves to the folder of the domain. ${TAKES_EFFECT}

Examples:
  ptt user passwd alice
  ptt user passwd alice < new-password`,
    )
    .action(async (name: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const parameters = await passwordParameters(options, name)
      const done = await setPassword(options, name, await newVerifier(name, parameters))
      report(`the password of ${done.user} is changed`, done, options)
    })
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove a user')
    .argument('<name>', NAME)
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt user remove alice`)
    .action(async (name: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const done = await removeUser(options, name)
      report(`${done.user} removed`, done, options)
    })
}

async function newVerifier(
  name: string,
  parameters: Parameters<typeof makeVerifier>[1] = {},
): Promise<Verifier> {
  return makeVerifier(await readNewPassword(name), parameters)
}

function report(what: string, { commit, path }: Done, options: EditOptions): void {
  reportCommit(what, path, commit, options)
}

function table(users: readonly User[]): string {
  const rows = users
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ name, senders, targets, verifier, suspended }) => [
      name,
      suspended === undefined ? 'active' : 'suspended',
      verifier.scheme === 'SCRAM-SHA-256' ? `SCRAM-SHA-256, ${verifier.iterations}` : 'BLAKE2B-512, weak',
      senders.filter(sender => sender !== name).join(' ') || '-',
      targets.map(formatMailbox).join(' ') || '-',
    ])
  return formatColumns([['USER', 'STATE', 'PASSWORD', 'MAY ALSO SEND AS', 'TARGETS'], ...rows])
}
