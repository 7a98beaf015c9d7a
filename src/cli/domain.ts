/** `ptt domain`: our domains are folders in the repository of [directory]; each change is one commit. */

import { Argument, Command, InvalidArgumentError } from 'commander'
import {
  addDomain,
  budgetDomain,
  limitDomain,
  removeDomain,
  selectorOfDomain,
  signDomain,
} from '../directory/domains.ts'
import { readRepository } from '../directory/edit.ts'
import { type ConfigOption, configOption } from './options.ts'
import { editOptions, formatColumns, parseLimits, reportCommit, TAKES_EFFECT } from './repository.ts'

export function domainCommand(): Command {
  return new Command('domain')
    .description('look after the domains in the Git repository')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(limitCommand())
    .addCommand(budgetCommand())
    .addCommand(signCommand())
    .addCommand(selectorCommand())
    .addCommand(removeCommand())
    .addHelpText(
      'after',
      `
Examples:
  ptt domain add example.org
  ptt domain list
  ptt domain remove example.org`,
    )
}

function addCommand(): Command {
  return new Command('add')
    .description('add a domain')
    .argument('<domain>', 'example.org')
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt domain add example.org`)
    .action(async (name: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const { domain, path, commit } = await addDomain(options, name)
      reportCommit(`${domain} added`, path, commit, options)
    })
}

function listCommand(): Command {
  return new Command('list')
    .description('list the domains, with what is in them')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt domain list')
    .action(async ({ config }: ConfigOption) => {
      const { domains, users, groups, aliases } = await readRepository(editOptions(config))
      const rows = [...domains].toSorted().map(domain => {
        const count = (names: Iterable<string>) =>
          String([...names].filter(name => name.endsWith(`@${domain}`)).length)
        return [domain, count(users.keys()), count(groups.keys()), count(aliases.keys())]
      })
      process.stdout.write(formatColumns([['DOMAIN', 'USERS', 'GROUPS', 'ALIASES'], ...rows]))
    })
}

function limitCommand(): Command {
  return new Command('limit')
    .description('set what each user of a domain may do at most, where the own file says nothing')
    .argument('<domain>', 'example.org')
    .argument('<limit...>', 'message_size=10MiB, messages_per_day=500 and so on; none: no limit')
    .option('--total', 'what all its users may do together (limits a day only)')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The limits are message_size and recipients_per_message; messages_per_day, recipients_per_day and new_recipients_per_day.
${TAKES_EFFECT}

Examples:
  ptt domain limit example.org message_size=10MiB messages_per_day=500
  ptt domain limit example.org --total messages_per_day=20000`,
    )
    .action(async (name: string, settings: string[], { config, total }: LimitOptions) => {
      const options = editOptions(config)
      const table = total ? 'total_limits' : 'default_limits'
      const { domain, path, commit } = await limitDomain(options, name, parseLimits(settings), table)
      reportCommit(`limits of ${domain} are set`, path, commit, options)
    })
}

interface LimitOptions extends ConfigOption {
  readonly total?: true
}

function budgetCommand(): Command {
  return new Command('budget')
    .description('set how many messages of a domain the signer signs in an hour at most')
    .argument('<domain>', 'example.org')
    .argument('<messages>', 'a whole number from 1; none: no budget', messages => {
      if (messages === 'none') return null
      if (/^[1-9]\d{0,14}$/.test(messages)) return Number(messages)
      throw new InvalidArgumentError('Write a whole number from 1, or none.')
    })
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt domain budget example.org 5000`)
    .action(async (name: string, perHour: number | null, { config }: ConfigOption) => {
      const options = editOptions(config)
      const { domain, path, commit } = await budgetDomain(options, name, perHour)
      reportCommit(`the signing budget of ${domain} is set`, path, commit, options)
    })
}

function signCommand(): Command {
  return new Command('sign')
    .description('say whether the signer signs the mail of a domain')
    .argument('<domain>', 'example.org')
    .addArgument(
      new Argument('<when>', 'never: for a domain that somebody else signs for, or nobody').choices([
        'always',
        'never',
      ] as const),
    )
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt domain sign example.org never`)
    .action(async (name: string, when: 'always' | 'never', { config }: ConfigOption) => {
      const options = editOptions(config)
      const { domain, path, commit } = await signDomain(options, name, when)
      reportCommit(`mail of ${domain} is ${when === 'never' ? 'not ' : ''}signed`, path, commit, options)
    })
}

function selectorCommand(): Command {
  return new Command('selector')
    .description('set how the keys that the signer makes for a domain are named in DNS')
    .argument('<domain>', 'example.org')
    .argument('<template>', "such as 'org-{date}-{random}-{algorithm}'; none: selector_template of ptt.toml")
    .addOption(configOption())
    .addHelpText(
      'after',
      `
There are {selector}, {date}, {random}, {number} and {algorithm}. Keys that are there keep their names: ptt key rotate replaces them.
${TAKES_EFFECT}

Example:
  ptt domain selector example.org 'org-{date}-{random}-{algorithm}'`,
    )
    .action(async (name: string, template: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const { domain, path, commit } = await selectorOfDomain(
        options,
        name,
        template === 'none' ? null : template,
      )
      reportCommit(`the selectors of ${domain} are set`, path, commit, options)
    })
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove a domain that has no users, groups and aliases any more')
    .argument('<domain>', 'example.org')
    .addOption(configOption())
    .addHelpText('after', `\n${TAKES_EFFECT}\n\nExample:\n  ptt domain remove example.org`)
    .action(async (name: string, { config }: ConfigOption) => {
      const options = editOptions(config)
      const { domain, path, commit } = await removeDomain(options, name)
      reportCommit(`${domain} removed`, path, commit, options)
    })
}
