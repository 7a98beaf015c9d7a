/** `ptt tls report`: what a day's TLS sessions came to, and what became of the reports about them (RFC 8460). */

import { Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { silent } from '../observe/event.ts'
import { hasSpool } from '../queue/embedded/embedded.ts'
import { openEmbeddedShelf } from '../queue/embedded/shelf.ts'
import type { Shelf } from '../queue/shelf.ts'
import { Collection } from '../relay/tls-report/collection.ts'
import type { Failure } from '../relay/tls-report/outcome.ts'
import { buildReport, reportIdOf } from '../relay/tls-report/report.ts'
import { submitterOf } from '../relay/tls-report/reports.ts'
import { dayBefore, dayOf, startOf } from '../relay/tls-report/schedule.ts'
import { readSending, type Sending } from '../relay/tls-report/sending.ts'
import type { PolicyCount } from '../relay/tls-report/tally.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { type ConfigOption, configOption } from './options.ts'
import { print } from './print.ts'

interface ReportOptions extends ConfigOption {
  readonly json?: true
  readonly domain?: string
}

/** Below `ptt tls`. */
export function reportCommand(): Command {
  return new Command('report')
    .description('tell how TLS with other mail servers went on a day, and whether they were told')
    .argument('[day]', 'of UTC, such as 2026-11-21; yesterday when not given', day)
    .option('--domain <domain>', 'only of mail to this domain')
    .option('--json', 'the reports as they are sent (RFC 8460 §4.4), one a line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
What is counted is written down every few seconds, and kept for two weeks.

Examples:
  ptt tls report
  ptt tls report 2026-11-21 --domain example.net
  ptt tls report --json | jq -r '.policies[].policy."policy-domain"'`,
    )
    .action(async (given: string | undefined, { config: path, json, domain }: ReportOptions) => {
      const config = loadConfig(path)
      const of = given ?? dayBefore(dayOf(Date.now()))
      const wanted = domain === undefined ? null : normalizeDomain(domain)
      await withShelf(config, async shelf => {
        let told = 0
        for await (const one of new Collection({ shelf, now: Date.now, log: silent }).domains(of)) {
          if (wanted !== null && one.domain !== wanted) continue
          const subject = { day: of, domain: one.domain }
          const sending = await readSending(shelf, subject, Date.now())
          const blank = told++ === 0 ? '' : '\n'
          await print(
            json ? jsonOf(subject, one.counts, config) : `${blank}${formatDomain(one, sending, of)}`,
          )
        }
        if (told === 0 && !json) await print(`No TLS sessions were counted on ${of}.\n`)
      })
    })
}

async function withShelf({ relay }: Config, use: (shelf: Shelf) => Promise<void>): Promise<void> {
  if (relay.engine === 'memory')
    throw new Error('[relay] engine is "memory": what was counted is in the memory of the relay')
  if (!hasSpool(relay.spool))
    throw new Error(`there is no spool in ${relay.spool}: the relay makes it when it starts (relay.spool)`)
  const shelf = await openEmbeddedShelf(relay.spool)
  try {
    await use(shelf)
  } finally {
    await shelf.close()
  }
}

function jsonOf(
  subject: { readonly day: string; readonly domain: string },
  counts: readonly PolicyCount[],
  config: Config,
): string {
  const { domain, postmaster, relay } = config
  const submitter = submitterOf({ domain, postmaster, hostname: relay.hostname })
  return `${JSON.stringify(buildReport(counts, subject, submitter, reportIdOf(subject, submitter)))}\n`
}

/** For people. Exported for its test. */
export function formatDomain(
  { domain, counts }: { readonly domain: string; readonly counts: readonly PolicyCount[] },
  sending: Sending | null,
  of: string,
): string {
  const lines = [domain]
  for (const { policy, succeeded, failures } of counts) {
    const failed = failures.reduce((sum, { sessions }) => sum + sessions, 0)
    const what = policy.type === 'no-policy-found' ? 'no policy' : `${NAMES[policy.type]} of ${policy.domain}`
    lines.push(`  ${what}: ${succeeded} succeeded, ${failed} failed`)
    for (const { failure, sessions } of failures) lines.push(`    ${sessions} ${failureText(failure)}`)
  }
  lines.push(...sendingLines(sending, of).map(line => `  ${line}`))
  return `${lines.join('\n')}\n`
}

const NAMES = { tlsa: 'DANE', sts: 'MTA-STS' } as const

function failureText({ type, receivingMx, receivingIp, receivingHelo, sendingIp, reason }: Failure): string {
  const at = [receivingMx, receivingIp && `[${receivingIp}]`].filter(Boolean).join(' ')
  const helo = receivingHelo === undefined ? '' : `, which calls itself ${receivingHelo}`
  const from = sendingIp === undefined ? '' : `, from ${sendingIp}`
  return `${type}${at && ` at ${at}`}${helo}${from}${reason === undefined ? '' : `: ${reason}`}`
}

function sendingLines(sending: Sending | null, of: string): string[] {
  if (sending === null) {
    const nextDay = dayOf((startOf(of) ?? 0) + 86_400_000)
    return [`not reported yet: on ${nextDay}, where they ask for it`]
  }
  const { sentTo, reason, nextMs } = sending
  const failed = reason === '' ? [] : [`not reported: ${reason}`]
  const again = nextMs === null ? [] : [`tried again at ${new Date(nextMs).toISOString()}`]
  return [...(sentTo.length === 0 ? [] : [`reported to ${sentTo.join(', ')}`]), ...failed, ...again]
}

function day(text: string): string {
  if (startOf(text) === null)
    throw new InvalidArgumentError(`${JSON.stringify(text)} is no day: write it as 2026-11-21`)
  return text
}
