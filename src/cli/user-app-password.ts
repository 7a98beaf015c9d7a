/** `ptt user app-password`: passwords for one program each. */

import { Command } from 'commander'
import { addAppPassword, removeAppPassword } from '../directory/app-passwords.ts'
import { readRepository } from '../directory/edit.ts'
import { type ConfigOption, configOption } from './options.ts'
import { editOptions, NAME, reportCommit, TAKES_EFFECT } from './repository.ts'

const LABEL = 'what it is for: phone, printer'

export function appPasswordCommand(): Command {
  return new Command('app-password')
    .description("look after a user's passwords for one program each")
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand())
    .addHelpText(
      'after',
      `
Examples:
  ptt user app-password add alice phone
  ptt user app-password list alice
  ptt user app-password remove alice phone`,
    )
}

function addCommand(): Command {
  return new Command('add')
    .description('make one and show it, once')
    .argument('<name>', NAME)
    .argument('<label>', LABEL)
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The user signs in with the own name and this password. The log says with which one it was. ${TAKES_EFFECT}

Example:
  ptt user app-password add alice phone`,
    )
    .action(async (name: string, label: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const { user, path, commit, password } = await addAppPassword(options, name, label)
      reportCommit(`app password ${label} of ${user} added`, path, commit, options)
      console.log(`It is shown this once: ${password}`)
    })
}

function listCommand(): Command {
  return new Command('list')
    .description('list the names of those there are')
    .argument('<name>', NAME)
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt user app-password list alice')
    .action(async (name: string, { config }: ConfigOption) => {
      const user = (await readRepository(editOptions(config))).user(name)
      if (user === undefined) throw new Error(`there is no user ${name}: ptt user list shows all`)
      process.stdout.write((user.appPasswords ?? []).map(each => `${each.name}\n`).join(''))
    })
}

function removeCommand(): Command {
  return new Command('remove')
    .description('take one away: who signed in with it is cut off')
    .argument('<name>', NAME)
    .argument('<label>', LABEL)
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt user app-password remove alice phone`)
    .action(async (name: string, label: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const { user, path, commit } = await removeAppPassword(options, name, label)
      reportCommit(`app password ${label} of ${user} removed`, path, commit, options)
    })
}
