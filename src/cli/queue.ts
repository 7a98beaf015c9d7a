/** `ptt queue`: looks into the relay's spool, also while the relay runs. What it changes is seen within a second. */

import { Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../config/load.ts'
import { hasSpool, openEmbedded } from '../queue/embedded/embedded.ts'
import type { Message, Queue } from '../queue/queue.ts'
import { isHeld } from '../relay/times.ts'
import { type ConfigOption, configOption } from './options.ts'
import { formatMessage, formatTable, messageJson } from './queue-format.ts'

const PAGE = 500
const SHOWN = 100

interface ListOptions extends ConfigOption {
  readonly json?: true
  readonly limit?: number
}

interface ShowOptions extends ConfigOption {
  readonly json?: true
}

interface RetryOptions extends ConfigOption {
  readonly all?: true
}

export function queueCommand(): Command {
  return new Command('queue')
    .description('look after the messages that are not delivered yet')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(retryCommand())
    .addCommand(removeCommand())
    .addHelpText(
      'after',
      `
Examples:
  ptt queue list                                what is queued, the oldest first
  ptt queue show 01JGG0ZT7N8Y4Q2M5RX3VWK6HE     everything about one message
  ptt queue retry --all                         try everything now, after an outage
  ptt queue remove 01JGG0ZT7N8Y4Q2M5RX3VWK6HE   give one up; nobody is told`,
    )
}

function listCommand(): Command {
  return new Command('list')
    .description('list the queued messages, the oldest first')
    .option('-n, --limit <count>', `at most so many (default: ${SHOWN}; with --json: all)`, count)
    .option('--json', 'a JSON object per message and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
NEXT is when the next attempt is due, or until when the sender wants it held; WHY what the last one was told.

Examples:
  ptt queue list
  ptt queue list --json | jq -r 'select(.sender == "alice@example.com").id'`,
    )
    .action(({ config, json, limit }: ListOptions) =>
      withQueue(config, async queue => {
        if (json) return printJson(queue, limit ?? Number.POSITIVE_INFINITY)
        const messages = await queue.list({ limit: limit ?? SHOWN })
        await print(formatTable(messages, await queue.count(), Date.now()))
      }),
    )
}

function showCommand(): Command {
  return new Command('show')
    .description('show a message: envelope, recipients, the last answers, the next attempts')
    .argument('<id>', 'its id, as in `ptt queue list` and in every log line about it')
    .option('--json', 'as a JSON object')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt queue show 01JGG0ZT7N8Y4Q2M5RX3VWK6HE')
    .action((id: string, { config, json }: ShowOptions) =>
      withQueue(config, async queue => {
        const message = await queue.get(id)
        if (!message) throw new Error(absent(id))
        await print(json ? `${JSON.stringify(messageJson(message))}\n` : formatMessage(message, Date.now()))
      }),
    )
}

function retryCommand(): Command {
  return new Command('retry')
    .description('make messages due now, for all of their recipients that are pending')
    .argument('[ids...]', 'the ids of the messages')
    .option('--all', 'all that is queued, but what is held for later')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The relay begins within a second, as many at a time as it does anyway. A message that its sender wants held for later
(FUTURERELEASE) is released when it is named, and left alone by --all.

Examples:
  ptt queue retry 01JGG0ZT7N8Y4Q2M5RX3VWK6HE
  ptt queue retry --all`,
    )
    .action((ids: string[], { config, all }: RetryOptions) => {
      if (all ? ids.length > 0 : ids.length === 0) throw new Error('name the messages, or write --all')
      return withQueue(config, async queue => {
        if (!all) return each(ids, async id => (await queue.retry(id, Date.now())) && `${id} is due now`)
        let retried = 0
        for await (const page of pages(queue)) {
          const nowMs = Date.now()
          const waiting = page.filter(
            message => !message.recipients.some(each => isHeld(message, each, nowMs)),
          )
          const done = await Promise.all(waiting.map(({ id }) => queue.retry(id, nowMs)))
          retried += done.filter(Boolean).length
        }
        await print(`${retried} ${retried === 1 ? 'message is' : 'messages are'} due now\n`)
      })
    })
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove messages; neither their senders nor anybody else is told')
    .argument('<ids...>', 'the ids of the messages')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt queue remove 01JGG0ZT7N8Y4Q2M5RX3VWK6HE')
    .action((ids: string[], { config }: ConfigOption) =>
      withQueue(config, queue => each(ids, async id => (await queue.remove(id)) && `${id} is removed`)),
    )
}

async function withQueue(file: string, use: (queue: Queue) => Promise<void>): Promise<void> {
  const { relay } = loadConfig(file)
  if (relay.engine === 'memory') {
    throw new Error(
      'the queue is in the memory of the relay (relay.engine = "memory"): it has no spool on disk',
    )
  }
  if (!hasSpool(relay.spool)) {
    throw new Error(`there is no spool in ${relay.spool}: the relay makes it when it starts (relay.spool)`)
  }
  const queue = await openEmbedded({ folder: relay.spool })
  try {
    await use(queue)
  } finally {
    await queue.close()
  }
}

/** Does it for each; those that are not there are told, and make the status 1. */
async function each(ids: readonly string[], act: (id: string) => Promise<string | false>): Promise<void> {
  for (const id of ids) {
    const done = await act(id)
    if (done) {
      await print(`${done}\n`)
    } else {
      process.stderr.write(`ptt queue: ${absent(id)}\n`)
      process.exitCode = 1
    }
  }
}

function absent(id: string): string {
  return `no message ${id} in the queue: it was delivered, returned or removed, or it was never here`
}

async function printJson(queue: Queue, limit: number): Promise<void> {
  for await (const page of pages(queue, limit)) {
    await print(page.map(message => `${JSON.stringify(messageJson(message))}\n`).join(''))
  }
}

/** All of the queue never is in memory at once. */
async function* pages(queue: Queue, limit = Number.POSITIVE_INFINITY): AsyncGenerator<Message[]> {
  let after: string | undefined
  for (let left = limit; left > 0; ) {
    const page = await queue.list({ limit: Math.min(left, PAGE), ...(after === undefined ? {} : { after }) })
    if (page.length === 0) return
    yield page
    left -= page.length
    after = page.at(-1)?.id
  }
}

/** Waits until it is written. A reader that has seen enough (`head`) ends us quietly. */
async function print(text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const ignore = () => {}
  process.stdout.on('error', ignore)
  process.stdout.write(text, error => (error ? reject(error) : resolve()))
  try {
    await promise
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
    process.exit()
  } finally {
    process.stdout.off('error', ignore)
  }
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Write a number from 1.')
  return Number(text)
}
