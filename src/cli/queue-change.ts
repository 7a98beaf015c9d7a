/** `ptt queue retry, hold, release, holds, remove`: what changes when a message is tried, or whether. */

import { Command } from 'commander'
import { scopeKey } from '../queue/hold.ts'
import type { Message, Queue, Scope } from '../queue/queue.ts'
import { isHeld } from '../relay/times.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { type ConfigOption, configOption } from './options.ts'
import { print } from './print.ts'
import { absent, complain, printDone, withQueue } from './queue-open.ts'
import {
  duration,
  holdFor,
  holdsInForce,
  isSelective,
  type SelectionOptions,
  selected,
  senderName,
  withSelection,
} from './queue-selection.ts'
import { formatHolds, holdJson } from './queue-why.ts'

interface ActOptions extends ConfigOption {
  readonly json?: true
}

interface SomeOptions extends ActOptions, SelectionOptions {
  readonly all?: true
}

interface ScopeOptions extends ActOptions {
  readonly sender?: string
  readonly domain?: string
  readonly site?: string
}

interface HoldOptions extends ScopeOptions {
  readonly reason: string
  readonly for?: number
}

export function retryCommand(): Command {
  return withSelection(new Command('retry'))
    .description('make messages due now, for all of their recipients that are pending')
    .argument('[ids...]', 'the ids of the messages')
    .option('--all', 'all that is queued, but what is to be sent later')
    .option('--json', 'a JSON object per message and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The relay begins within a second, as many at a time as it does anyway. A message that its sender wants sent later
(FUTURERELEASE) is released when it is named, and left alone by --all and by what selects several. What an operator
holds stays held: see \`ptt queue release\`.

Examples:
  ptt queue retry 01JGG0ZT7N8Y4Q2M5RX3VWK6HE
  ptt queue retry --domain example.net
  ptt queue retry --all`,
    )
    .action((ids: string[], options: SomeOptions) => {
      checkChoice(ids, options)
      return withQueue(options.config, async queue => {
        if (ids.length > 0)
          return each(ids, options, 'retried', 'is due now', id => queue.retry(id, Date.now()))
        let retried = 0
        const isNow = (message: Message) =>
          !message.recipients.some(recipient => isHeld(message, recipient, Date.now()))
        for await (const page of selected(queue, options)) {
          const messages = page.filter(isNow)
          const done = await Promise.all(messages.map(({ id }) => queue.retry(id, Date.now())))
          retried += done.filter(Boolean).length
          if (options.json)
            for (const { id } of messages) await printDone(id, 'retried', 'is due now', options.json)
        }
        if (!options.json)
          await print(`${retried} ${retried === 1 ? 'message is' : 'messages are'} due now\n`)
      })
    })
}

export function removeCommand(): Command {
  return withSelection(new Command('remove'))
    .description('remove messages; neither their senders nor anybody else is told')
    .argument('[ids...]', 'the ids of the messages')
    .option('--all', 'all that is queued')
    .option('--json', 'a JSON object per message and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Examples:
  ptt queue remove 01JGG0ZT7N8Y4Q2M5RX3VWK6HE
  ptt queue remove --sender mallory@example.com`,
    )
    .action((ids: string[], options: SomeOptions) => {
      checkChoice(ids, options)
      return withQueue(options.config, async queue => {
        const remove = (id: string) => queue.remove(id, Date.now())
        if (ids.length > 0) return each(ids, options, 'removed', 'is removed', remove)
        for await (const page of selected(queue, options)) {
          for (const { id } of page)
            if (await remove(id)) await printDone(id, 'removed', 'is removed', options.json)
        }
      })
    })
}

export function holdCommand(): Command {
  return withScopes(new Command('hold'))
    .description('keep messages in the queue: some by id, or all of a sender, for a domain or at a site')
    .requiredOption('--reason <text>', 'why, for who asks: `ptt queue why` tells it')
    .option('--for <time>', 'released after that: 30m, 4h, 2d (default: when somebody releases it)', duration)
    .addHelpText(
      'after',
      `
What is on its way already is not stopped. A hold of a sender, a domain or a site is also for what comes later.

Examples:
  ptt queue hold 01JGG0ZT7N8Y4Q2M5RX3VWK6HE --reason 'asked by Ann'
  ptt queue hold --domain example.net --for 2h --reason 'they move house'`,
    )
    .action((ids: string[], options: HoldOptions) => {
      const scopes = scopesOf(ids, options)
      return withQueue(options.config, async queue => {
        const sinceMs = Date.now()
        const untilMs = options.for === undefined ? null : sinceMs + options.for
        for (const scope of scopes) {
          if (scope.kind === 'message' && !(await queue.get(scope.name))) {
            complain(absent(scope.name))
            continue
          }
          const hold = { ...scope, reason: options.reason, sinceMs, untilMs }
          await queue.hold(hold)
          await print(
            options.json
              ? `${JSON.stringify({ done: 'held', ...holdJson(hold) })}\n`
              : `${scopeKey(scope)} is held\n`,
          )
        }
      })
    })
}

export function releaseCommand(): Command {
  return withScopes(new Command('release'))
    .description('end a hold: what it held is due as it was before')
    .addHelpText('after', '\nExample:\n  ptt queue release --domain example.net')
    .action((ids: string[], options: ScopeOptions) => {
      const scopes = scopesOf(ids, options)
      return withQueue(options.config, async queue => {
        for (const scope of scopes) {
          if (!(await queue.lift(scope))) complain(await whyNot(queue, scope))
          else if (options.json) await print(`${JSON.stringify({ done: 'released', ...scope })}\n`)
          else await print(`${scopeKey(scope)} is released\n`)
        }
      })
    })
}

export function holdsCommand(): Command {
  return new Command('holds')
    .description('list what is held')
    .option('--json', 'a JSON object per hold and line')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt queue holds')
    .action(({ config, json }: ActOptions) =>
      withQueue(config, async queue => {
        const nowMs = Date.now()
        const holds = [...(await holdsInForce(queue, nowMs)).values()]
        const lines = holds.map(hold => `${JSON.stringify(holdJson(hold))}\n`)
        await print(json ? lines.join('') : formatHolds(holds, nowMs))
      }),
    )
}

function withScopes(command: Command): Command {
  return command
    .argument('[ids...]', 'the ids of the messages')
    .option('--sender <address>', 'all from this address, or @domain, or <>', senderName)
    .option('--domain <domain>', 'all to this domain', normalizeDomain)
    .option('--site <site>', 'all that goes to this site, as the log names it', normalizeDomain)
    .option('--json', 'a JSON object per hold and line')
    .addOption(configOption())
}

function scopesOf(ids: readonly string[], { sender, domain, site }: ScopeOptions): Scope[] {
  const scopes: Scope[] = [
    ...ids.map(name => ({ kind: 'message', name }) as const),
    ...(sender === undefined ? [] : [{ kind: 'sender', name: sender } as const]),
    ...(domain === undefined ? [] : [{ kind: 'destination', name: domain } as const]),
    ...(site === undefined ? [] : [{ kind: 'site', name: site } as const]),
  ]
  if (scopes.length === 0) throw new Error('name the messages, or write --sender, --domain or --site')
  return scopes
}

/** A message may be held by something else than its id. */
async function whyNot(queue: Queue, scope: Scope): Promise<string> {
  const message = scope.kind === 'message' ? await queue.get(scope.name) : null
  if (scope.kind === 'message' && message === null) return absent(scope.name)
  const holds = await holdsInForce(queue, Date.now())
  const held = message?.recipients.flatMap(recipient => holdFor(message, recipient, holds) ?? [])[0]
  return `${scopeKey(scope)} is not held${held === undefined ? '' : `, but ${scopeKey(held)} is`}`
}

export function checkChoice(
  ids: readonly string[],
  options: SelectionOptions & { readonly all?: true },
): void {
  const chosen = [ids.length > 0, options.all === true || isSelective(options)].filter(Boolean).length
  if (chosen !== 1) throw new Error('name the messages, or write --all, or say which (--sender, --domain …)')
}

/** Does it for each; those that are not there are told, and make the status 1. */
async function each(
  ids: readonly string[],
  { json }: ActOptions,
  what: string,
  text: string,
  act: (id: string) => Promise<boolean>,
): Promise<void> {
  for (const id of ids) {
    if (await act(id)) await printDone(id, what, text, json)
    else complain(absent(id))
  }
}
