/** `ptt user suspend, resume, grant, revoke, limit`: what a user may do. */

import { Command } from 'commander'
import { grantSenders, limitUser, resumeUser, revokeSenders, suspendUser } from '../directory/user-edits.ts'
import { type ConfigOption, configOption } from './options.ts'
import { editOptions, NAME, parseLimits, reportCommit, TAKES_EFFECT } from './repository.ts'

export function suspendCommand(): Command {
  return new Command('suspend')
    .description('let a user no longer sign in or send; mail for the user goes on as before')
    .argument('<name>', NAME)
    .argument('<reason>', 'what the user is told: one line of ASCII')
    .addOption(configOption())
    .addHelpText(
      'after',
      `\n${TAKES_EFFECT}\n\nExample:\n  ptt user suspend alice 'Your computer sends spam: call 555-0100'`,
    )
    .action(async (name: string, reason: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const { user, path, commit } = await suspendUser(options, name, reason)
      reportCommit(`${user} is suspended`, path, commit, options)
    })
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description('let a suspended user in again')
    .argument('<name>', NAME)
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt user resume alice`)
    .action(async (name: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const { user, path, commit } = await resumeUser(options, name)
      reportCommit(`${user} is not suspended any more`, path, commit, options)
    })
}

export function grantCommand(): Command {
  return new Command('grant')
    .description('let a user send as more than the own address')
    .argument('<name>', NAME)
    .argument(
      '<pattern...>',
      "info, info@example.com or *@news.example.com, in the user's domain or beneath it",
    )
    .addOption(configOption())
    .addHelpText(
      'after',
      `
An address that several users send as is better a group: ptt group add. ${TAKES_EFFECT}

Example:
  ptt user grant alice info '*@news.example.com'`,
    )
    .action(async (name: string, patterns: string[], { config }: ConfigOption) => {
      const options = editOptions(config)
      const { user, path, commit } = await grantSenders(options, name, patterns)
      reportCommit(`${user} may send as ${patterns.join(', ')}`, path, commit, options)
    })
}

export function revokeCommand(): Command {
  return new Command('revoke')
    .description('take back what grant gave')
    .argument('<name>', NAME)
    .argument('<pattern...>', 'as it stands in the file')
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt user revoke alice info`)
    .action(async (name: string, patterns: string[], { config }: ConfigOption) => {
      const options = editOptions(config)
      const { user, path, commit } = await revokeSenders(options, name, patterns)
      reportCommit(`${user} may no longer send as ${patterns.join(', ')}`, path, commit, options)
    })
}

export function limitCommand(): Command {
  return new Command('limit')
    .description('set what a user may do at most')
    .argument('<name>', NAME)
    .argument(
      '<limit...>',
      'message_size=10MiB, messages_per_day=500 and so on; none: the default of the domain',
    )
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The limits are message_size and recipients_per_message; messages_per_day, recipients_per_day and new_recipients_per_day.
${TAKES_EFFECT}

Examples:
  ptt user limit alice message_size=10MiB messages_per_day=500
  ptt user limit alice message_size=none`,
    )
    .action(async (name: string, settings: string[], { config }: ConfigOption) => {
      const options = editOptions(config)
      const { user, path, commit } = await limitUser(options, name, parseLimits(settings))
      reportCommit(`limits of ${user} are set`, path, commit, options)
    })
}
