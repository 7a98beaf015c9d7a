/** `ptt suppression`: who is not written to, and why; also while the relay runs. */

import { Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../config/load.ts'
import { duration } from '../config/value.ts'
import { openEmbeddedShelf } from '../queue/embedded/shelf.ts'
import { type Suppression, Suppressions } from '../relay/suppression.ts'
import { SmtpError } from '../smtp/error.ts'
import { formatMailbox, parseMailbox } from '../smtp/path.ts'
import { KNOWN } from '../submission/known-suppressed.ts'
import { type ConfigOption, configOption } from './options.ts'
import { print } from './print.ts'

interface ListOptions extends ConfigOption {
  readonly json?: true
  readonly sender?: string
}

interface ChangeOptions extends ConfigOption {
  readonly sender: string
}

interface AddOptions extends ChangeOptions {
  readonly reason: string
  readonly for: number
}

export function suppressionCommand(): Command {
  return new Command('suppression')
    .description(
      'see and change who is not written to, because his server says he does not exist, or because he complained',
    )
    .addCommand(listCommand())
    .addCommand(addCommand())
    .addCommand(removeCommand())
    .addHelpText(
      'after',
      `
A suppression holds for the senders of one domain of yours, and ends by itself ([relay] suppress).

Examples:
  ptt suppression list
  ptt suppression add bob@example.net --sender example.com --reason "complained by phone"
  ptt suppression remove bob@example.net --sender example.com`,
    )
}

function listCommand(): Command {
  return new Command('list')
    .description('list who is suppressed, and why')
    .option('--sender <domain>', 'only for the senders of this domain')
    .option('--json', 'a JSON object per address and line')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt suppression list --json | jq -r .recipient')
    .action(({ config, json, sender }: ListOptions) =>
      withSuppressions(config, async suppressions => {
        let count = 0
        for await (const one of suppressions.list(sender)) {
          await print(json ? `${JSON.stringify(one)}\n` : lineOf(one))
          count++
        }
        if (count === 0 && !json) await print('Nobody is suppressed.\n')
      }),
    )
}

function addCommand(): Command {
  return new Command('add')
    .description('write to an address no more')
    .argument('<address>', 'whom', mailbox)
    .requiredOption('--sender <domain>', 'for the senders of this domain')
    .requiredOption('--reason <words>', 'why: the sender is told')
    .option('--for <duration>', 'for how long, such as "365d"', milliseconds, 365 * 24 * 3600_000)
    .addOption(configOption())
    .addHelpText(
      'after',
      '\nExample:\n  ptt suppression add bob@example.net --sender example.com --reason "complaint of 3 May"',
    )
    .action((recipient: string, { config, sender: senderDomain, reason, for: forMs }: AddOptions) =>
      withSuppressions(config, async suppressions => {
        const sinceMs = Date.now()
        const facts = { senderDomain, recipient, category: 'operator', reason, id: null }
        await suppressions.add({ ...facts, sinceMs, untilMs: sinceMs + forMs })
        const until = new Date(sinceMs + forMs).toISOString().slice(0, 10)
        await print(`${recipient} is not written to from ${senderDomain} until ${until}.\n`)
      }),
    )
}

function removeCommand(): Command {
  return new Command('remove')
    .description('write to an address again')
    .argument('<address>', 'whom', mailbox)
    .requiredOption('--sender <domain>', 'for the senders of this domain')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt suppression remove bob@example.net --sender example.com')
    .action((recipient: string, { config, sender }: ChangeOptions) =>
      withSuppressions(config, async suppressions => {
        if (!(await suppressions.remove(sender, recipient)))
          throw new Error(`${recipient} is not suppressed for ${sender}: see \`ptt suppression list\``)
        const minutes = KNOWN.longestMs / 60_000
        await print(
          `${recipient} is written to again from ${sender}; submission may refuse it for ${minutes} minutes yet.\n`,
        )
      }),
    )
}

async function withSuppressions(
  path: string,
  work: (suppressions: Suppressions) => Promise<void>,
): Promise<void> {
  const { relay } = loadConfig(path)
  if (relay.engine === 'memory') throw new Error('[relay] engine is "memory": there is no list to look at')
  const shelf = await openEmbeddedShelf(relay.spool)
  try {
    await work(new Suppressions(shelf, Date.now))
  } finally {
    await shelf.close()
  }
}

function lineOf({ recipient, senderDomain, category, sinceMs, untilMs, reason, id }: Suppression): string {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10)
  const message = id === null ? '' : ` (${id})`
  return `${recipient}  from ${senderDomain}  ${day(sinceMs)} to ${day(untilMs)}  ${category}: ${reason}${message}\n`
}

function mailbox(text: string): string {
  try {
    return formatMailbox(parseMailbox(text, { utf8: true })).toLowerCase()
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not an address: write it as bob@example.net`)
  }
}

function milliseconds(text: string): number {
  const ms = duration.parse(text)
  if (ms === undefined || ms <= 0) throw new InvalidArgumentError(duration.write)
  return ms
}
