/** `ptt certificate`: looks after the certificate of submission; once, or as long as it runs. */

import { Command } from 'commander'
import type { Keeper, KeeperOptions, Standing, When } from '../certificate/keeper.ts'
import { isoOf } from '../certificate/schedule.ts'
import { loadConfig, nearPath } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { openLog } from '../observe/log.ts'
import { type ConfigOption, configOption, verboseOption } from './options.ts'
import { explain, runService } from './service.ts'

interface RunOptions extends ConfigOption {
  readonly verbose?: boolean
  readonly once?: true
}

export function certificateCommand(): Command {
  return new Command('certificate')
    .description('get the certificate of submission from a CA, and a new one in time')
    .addOption(configOption())
    .addOption(verboseOption())
    .option('--once', 'get one if it is time for it, then end: for a timer of the system')
    .addCommand(renewCommand())
    .addCommand(statusCommand())
    .addHelpText(
      'after',
      `
It asks the CA of [certificate] in ptt.toml (ACME), and proves the names by a TXT record at _acme-challenge. Submission takes
the new certificate by itself. \`ptt up\` runs this where ptt.toml has the table. docs/certificates.md tells more.

Examples:
  ptt certificate                    as long as it runs; a third of the life before its end comes the next
  ptt certificate --once             from a timer
  ptt certificate status             what there is, until when, and what went wrong
  ptt certificate renew              now, whatever there is

Signals:
  SIGHUP            look now, also in the pause after a failure
  SIGTERM, SIGINT   take the records out of DNS and stop`,
    )
    .action(async ({ config, verbose = false, once }: RunOptions) => {
      if (once) process.exitCode = await runOnce(config, 'due', verbose)
      else await runService('certificate', config, verbose)
    })
}

function renewCommand(): Command {
  return (
    new Command('renew')
      .description('get a new certificate now, whatever there is')
      .addOption(configOption())
      .addOption(verboseOption())
      .addHelpText(
        'after',
        `
For a key that may be known to others, or to try again before the pause after a failure is over. CAs limit how many
certificates there may be for a name in a week. A \`ptt certificate\` that runs need not be stopped.

Example:
  ptt certificate renew -c /etc/ptt/ptt.toml`,
      )
      // The options are those of the parent too, which has read them.
      .action(async (_: unknown, command: Command) => {
        const { config, verbose = false } = command.optsWithGlobals<RunOptions>()
        process.exitCode = await runOnce(config, 'now', verbose)
      })
  )
}

function statusCommand(): Command {
  return new Command('status')
    .description('what certificate there is, until when, and when another is asked for')
    .addOption(configOption())
    .option('--json', 'as one JSON object')
    .addHelpText(
      'after',
      `
The status is 1 where there is no certificate that can be used, or the last attempt failed.

Example:
  ptt certificate status --json | jq .until`,
    )
    .action(async (_: unknown, command: Command) => {
      const { config: file, json } = command.optsWithGlobals<ConfigOption & { json?: true }>()
      const config = loadConfig(file)
      const keeper = await openKeeper({ config, log: openLog({ service: 'certificate' }), signal: NEVER })
      const standing = keeper.standing()
      const facts = factsOf(standing, config, Date.now())
      console.log(json ? JSON.stringify(facts, null, 2) : formatFacts(facts))
      process.exitCode = facts.usable && facts.last_error === null ? 0 : 1
    })
}

/** Loaded when it is wanted: ACME brings much with it, and `ptt --help` loads each command. */
async function openKeeper(options: KeeperOptions): Promise<Keeper> {
  const { Keeper } = await import('../certificate/keeper.ts')
  return new Keeper(options)
}

const NEVER = new AbortController().signal

/** The exit status: 0 where there is a good certificate at the end. */
async function runOnce(file: string, when: When, verbose: boolean): Promise<number> {
  const config = loadConfig(file)
  const log = openLog({ service: 'certificate', level: verbose ? 'debug' : 'info' })
  const stopping = new AbortController()
  process.once('SIGTERM', () => stopping.abort()).once('SIGINT', () => stopping.abort())
  const keeper = await openKeeper({ config, log, signal: stopping.signal })
  try {
    keeper.prepare()
    const look = await keeper.look(when)
    if (look.kind === 'good' || look.kind === 'paused') {
      const reason =
        look.kind === 'good' ? 'it is not time for another' : 'the last attempt failed, see status'
      log.event('certificate', { state: 'kept', reason, next: isoOf(look.untilMs) })
    }
    return look.kind === 'good' || look.kind === 'issued' ? 0 : 1
  } catch (error) {
    throw new Error(explain(error), { cause: error })
  }
}

export interface Facts {
  readonly certificate: string
  readonly names: readonly string[]
  readonly ca: string
  /** ISO 8601, as the other times. */
  readonly from: string | null
  readonly until: string | null
  readonly days_left: number | null
  readonly usable: boolean
  /** Why another one is wanted whatever its age. */
  readonly complaint: string | null
  readonly renewal: string | null
  /** When the CA is asked next. */
  readonly next: string
  readonly failures: number
  readonly last_error: { readonly at: string; readonly step: string; readonly reason: string } | null
}

const DAY_MS = 86_400_000

export function factsOf(standing: Standing, config: Config, nowMs: number): Facts {
  const { names, directory: ca, note, pair, complaint, renewalMs, plan } = standing
  const { lastError, failures } = note
  return {
    certificate: config.submission.certificate,
    names,
    ca,
    from: pair === null ? null : isoOf(pair.notBeforeMs),
    until: pair === null ? null : isoOf(pair.notAfterMs),
    days_left: pair === null ? null : Math.floor((pair.notAfterMs - nowMs) / DAY_MS),
    usable: pair !== null && pair.notAfterMs > nowMs,
    complaint,
    renewal: renewalMs === null ? null : isoOf(renewalMs),
    next: plan.kind === 'wait' ? isoOf(plan.untilMs) : 'now',
    failures,
    last_error:
      lastError === null
        ? null
        : { at: isoOf(lastError.atMs), step: lastError.step, reason: lastError.reason },
  }
}

export function formatFacts(facts: Facts): string {
  const { from, until, days_left: days, last_error: error, failures } = facts
  const left =
    days === null ? '' : days < 0 ? ', which is over' : `, ${days} ${days === 1 ? 'day' : 'days'} left`
  const lines: (readonly [label: string, value: string | null])[] = [
    ['certificate', nearPath(facts.certificate)],
    ['names', facts.names.join(', ')],
    ['CA', facts.ca],
    ['valid', until === null ? 'there is none that can be used' : `${from} to ${until}${left}`],
    ['wanted', facts.complaint === null ? null : `another: ${facts.complaint}`],
    ['renewal', facts.complaint === null ? facts.renewal : null],
    [
      'last error',
      error === null ? null : `${error.at} (${error.step}, ${failures} in a row): ${error.reason}`,
    ],
    ['next attempt', facts.next === facts.renewal ? null : facts.next],
  ]
  return lines.flatMap(([label, value]) => (value === null ? [] : [`${label.padEnd(14)}${value}`])).join('\n')
}
