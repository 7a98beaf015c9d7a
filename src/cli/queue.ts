/** `ptt queue`: looks into the relay's spool, also while the relay runs. What it changes is seen within a second. */

import { Command, InvalidArgumentError } from 'commander'
import type { Message, Queue } from '../queue/queue.ts'
import { type ConfigOption, configOption } from './options.ts'
import { print } from './print.ts'
import { holdCommand, holdsCommand, releaseCommand, removeCommand, retryCommand } from './queue-change.ts'
import { formatMessage, formatTable, messageJson } from './queue-format.ts'
import { absent, withQueue } from './queue-open.ts'
import {
  holdsInForce,
  isSelective,
  type SelectionOptions,
  selected,
  withSelection,
} from './queue-selection.ts'
import { exportCommand, importCommand } from './queue-transfer.ts'
import { formatStory, signaturesOf, storyJson } from './queue-why.ts'

const SHOWN = 100
const SHOWN_AFTER_MS = 100

interface JsonOption extends ConfigOption {
  readonly json?: true
}

interface ListOptions extends JsonOption, SelectionOptions {
  readonly limit?: number
  readonly after?: string
}

export function queueCommand(): Command {
  return new Command('queue')
    .description('look after the messages that are not delivered yet')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(whyCommand())
    .addCommand(retryCommand())
    .addCommand(holdCommand())
    .addCommand(releaseCommand())
    .addCommand(holdsCommand())
    .addCommand(removeCommand())
    .addCommand(exportCommand())
    .addCommand(importCommand())
    .addHelpText(
      'after',
      `
Examples:
  ptt queue list --domain gmail.com             what waits for one domain, the oldest first
  ptt queue why 01JGG0ZT7N8Y4Q2M5RX3VWK6HE      the whole story of one message
  ptt queue retry --all                         try everything now, after an outage
  ptt queue hold --sender news@example.com --for 2h --reason 'asked by Ann'
  ptt queue remove 01JGG0ZT7N8Y4Q2M5RX3VWK6HE   give one up; nobody is told`,
    )
}

function listCommand(): Command {
  return withSelection(new Command('list'))
    .description('list the queued messages, the oldest first')
    .option('-n, --limit <count>', `at most so many (default: ${SHOWN}; with --json: all)`, count)
    .option('--after <id>', 'those after this one: the next page')
    .option('--json', 'a JSON object per message and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
NEXT is when the next attempt is due, or until when the message is held; WHY what the last one was told.

Examples:
  ptt queue list --state deferred --older-than 4h
  ptt queue list --json | jq -r 'select(.sender == "alice@example.com").id'`,
    )
    .action((options: ListOptions) =>
      withQueue(options.config, async queue => {
        const { json, after, limit = json ? Number.POSITIVE_INFINITY : SHOWN } = options
        const shown: Message[] = []
        let left = limit
        const begin = performance.now()
        for await (const page of selected(queue, options, { after })) {
          const messages = page.slice(0, left)
          left -= messages.length
          if (json) await print(messages.map(each => `${JSON.stringify(messageJson(each))}\n`).join(''))
          else shown.push(...messages)
          if (left === 0) break
          // A table is seen when it is whole: what a long search has found by then is, and from where to go on.
          if (shown.length > 0 && performance.now() - begin > SHOWN_AFTER_MS) {
            left = 0
            break
          }
        }
        if (json) return
        const nowMs = Date.now()
        const foot = await footOf(queue, shown, options, left === 0)
        if (shown.length === 0) return print(`${foot}\n`)
        await print(formatTable(shown, foot, nowMs, await holdsInForce(queue, nowMs)))
      }),
    )
}

async function footOf(
  queue: Queue,
  shown: readonly Message[],
  options: ListOptions,
  isFull: boolean,
): Promise<string> {
  const total = await queue.count()
  if (total === 0) return 'The queue is empty.'
  const all = `${total} ${total === 1 ? 'message' : 'messages'}`
  const last = shown.at(-1)?.id
  if (last === undefined) return `Nothing of that kind among the ${all} in the queue.`
  if (isSelective(options) || options.after !== undefined) {
    const rest = isFull ? `; perhaps more: --after ${last}` : ''
    return `${shown.length} of the ${all} in the queue${rest}`
  }
  return total > shown.length
    ? `${all}, of which these are the first ${shown.length}; the next: --after ${last}`
    : all
}

function showCommand(): Command {
  return new Command('show')
    .description('show a message: envelope, recipients, the last answers, the next attempts')
    .argument('<id>', 'its id, as in `ptt queue list` and in every log line about it')
    .option('--json', 'as a JSON object')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt queue show 01JGG0ZT7N8Y4Q2M5RX3VWK6HE')
    .action((id: string, { config, json }: JsonOption) =>
      withQueue(config, async queue => {
        const message = await queue.get(id)
        if (!message) throw new Error(absent(id))
        const nowMs = Date.now()
        if (json) return print(`${JSON.stringify(messageJson(message))}\n`)
        await print(formatMessage(message, nowMs, await holdsInForce(queue, nowMs)))
      }),
    )
}

function whyCommand(): Command {
  return new Command('why')
    .description('the whole story of a message: who allowed it, every attempt, what it waits for')
    .argument('<id>', 'its id, as in `ptt queue list` and in every log line about it')
    .option('--json', 'as a JSON object')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Also of messages that have left the queue in the last two days.

Example:
  ptt queue why 01JGG0ZT7N8Y4Q2M5RX3VWK6HE`,
    )
    .action((id: string, { config, json }: JsonOption) =>
      withQueue(config, async queue => {
        const story = await queue.story(id)
        if (!story)
          throw new Error(`nothing is known of ${id}: it left the queue days ago, or was never here`)
        const nowMs = Date.now()
        const holds = await holdsInForce(queue, nowMs)
        const content = story.ended === null ? await queue.content(id) : new Uint8Array(0)
        const facts = { story, holds, signatures: signaturesOf(content), nowMs }
        await print(json ? `${JSON.stringify(storyJson(facts))}\n` : formatStory(facts))
      }),
    )
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Write a number from 1.')
  return Number(text)
}
