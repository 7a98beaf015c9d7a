/**
 * `ptt dns`: what a domain that sends mail needs in the DNS beside its keys. It is a command of the operator, run where
 * the signer's TSIG key is; no service does any of this by itself.
 */

import { Command, Option } from 'commander'
import { readSecret } from '../config/file.ts'
import { loadConfig } from '../config/load.ts'
import { canonicalName } from '../dns/name.ts'
import { parseTsigKey } from '../dns/tsig.ts'
import type { Applied } from '../dns-plan/apply.ts'
import { type Finding, show } from '../dns-plan/finding.ts'
import { applyItem, items, type Settings } from '../dns-plan/plan.ts'
import { formatChanges, formatFindings, formatObstacles, formatTally, type Line } from '../dns-plan/report.ts'
import type { View } from '../dns-plan/view.ts'
import { Gate } from '../net/resolver-servers.ts'
import { list } from './dns-list.ts'
import { dnsSettings, openView } from './dns-settings.ts'
import { type ConfigOption, configOption } from './options.ts'

/** 1 is for what hinders the command itself, as with all commands. */
const SOMETHING_WRONG = 2
const CANNOT_KNOW = 3

const EXIT = `Exit status: 0 all is as it should be; 1 the command could not be run; 2 something is missing,
differs or is foreign; 3 nothing is known to be wrong, but not all is known.`

interface Options extends ConfigOption {
  readonly json?: true
  readonly replace?: readonly string[]
}

export function dnsCommand(): Command {
  return new Command('dns')
    .description('look after what our domains have in the DNS: SPF, DMARC, SRV, PTR and more')
    .addCommand(checkCommand())
    .addCommand(planCommand())
    .addCommand(applyCommand())
    .addCommand(listCommand())
    .addHelpText(
      'after',
      `
What there should be is said in [dns]; docs/dns.md tells more.

Examples:
  ptt dns check                             one verdict a line, for all domains
  ptt dns plan example.org                  what apply would change for one of them
  ptt dns apply                             write what is missing; others' records are left alone
  ptt dns apply --replace _dmarc.example.org`,
    )
}

function checkCommand(): Command {
  return command('check', 'tell what is there, what should be, and whether that is so').action(
    async (domains: string[], options: Options) => {
      await withView(options, domains, async (view, settings) => {
        print(await judgeAll(settings, view), options, true)
      })
    },
  )
}

function planCommand(): Command {
  return command('plan', 'tell what apply would change, and change nothing')
    .addOption(replaceOption("as if somebody else's record at this name were to be replaced"))
    .action(async (domains: string[], options: Options) => {
      await withView(options, domains, async (view, settings) => {
        const lines = await judgeAll(settings, view)
        const replaces = replacing(options, lines)
        print(lines, options)
        if (options.json) return
        const changes = lines.flatMap(
          ({ finding }) => finding.change ?? (replaces(finding.name) ? (finding.replacement ?? []) : []),
        )
        process.stdout.write(
          changes.length === 0
            ? 'ptt dns apply would change nothing.\n'
            : `\nptt dns apply would change:\n${formatChanges(changes)}`,
        )
      })
    })
}

function applyCommand(): Command {
  return command('apply', 'write what is missing, and what ptt wrote and is to be otherwise')
    .addOption(replaceOption("replace somebody else's record at this name too"))
    .addHelpText('after', '\nThe TSIG key is that of the signer, [signer] tsig_key.')
    .action(async (domains: string[], options: Options) => {
      const { signer } = loadConfig(options.config)
      const tsigKey = parseTsigKey(readSecret(signer.tsigKey))
      await withView(options, domains, async (view, settings) => {
        const all = items(settings, view)
        // A name that is written wrong is told before anything is changed.
        const replaces = replacing(
          options,
          options.replace === undefined ? [] : await judgeAll(settings, view),
        )
        const lines: Line[] = []
        // One after the other: several of them change the same RRset of a zone.
        for (const item of all) {
          const line = await applyItem(item, replaces, {
            tsigKey,
            look: (name, type) => view.look(name, type),
          })
          if (line !== null) lines.push(line)
        }
        print(lines, options)
      })
    })
}

function listCommand(): Command {
  return bare('list', 'list what the zones have that concerns mail, and who wrote it')
    .addHelpText(
      'after',
      '\nThe zones are read whole (AXFR), where their servers let the TSIG key of the signer.',
    )
    .action((domains: string[], options: Options) =>
      withView(options, domains, (view, settings) => list(view, settings, options)),
    )
}

function command(name: string, description: string): Command {
  return bare(name, description).addHelpText('after', `\n${EXIT}`)
}

function bare(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument('[domains...]', 'only these; all of [directory] and the domain of the configuration otherwise')
    .option('--json', 'a JSON object a line')
    .addOption(configOption())
    .addHelpText('afterAll', `\nExamples:\n  ptt dns ${name}\n  ptt dns ${name} example.org`)
}

/** Any number of times: with a list, the domains after it would be names too. */
function replaceOption(description: string): Option {
  return new Option('--replace <name>', description).argParser((name: string, names: string[] = []) => [
    ...names,
    name,
  ])
}

async function withView(
  options: Options,
  domains: readonly string[],
  run: (view: View, settings: Settings) => Promise<void>,
): Promise<void> {
  const config = loadConfig(options.config)
  const settings = await dnsSettings(config, domains)
  const { view, close } = openView(config)
  try {
    await run(view, settings)
  } finally {
    close()
  }
}

/** Each of them asks several servers: so many at a time. */
const AT_A_TIME = 4

async function judgeAll(settings: Settings, view: View): Promise<Line[]> {
  const gate = new Gate(AT_A_TIME)
  const findings = await Promise.all(items(settings, view).map(item => gate.run(item)))
  return findings.flatMap(finding => (finding === null ? [] : { finding, applied: null }))
}

/** @throws Error for a name where there is nothing to be replaced */
function replacing({ replace = [] }: Options, lines: readonly Line[]): (name: string) => boolean {
  const names = new Set(replace.map(canonicalName))
  const foreign = lines
    .filter(({ finding }) => finding.replacement !== null)
    .map(({ finding }) => finding.name)
  for (const name of names) {
    if (foreign.includes(name)) continue
    const there = foreign.length === 0 ? 'there is none' : `there is ${[...new Set(foreign)].join(', ')}`
    throw new Error(`--replace ${name}: nothing of somebody else's is in the way at this name; ${there}`)
  }
  return name => names.has(name)
}

function print(lines: readonly Line[], { json }: Options, withWanted = false): void {
  process.exitCode = exitStatus(lines)
  if (json) {
    for (const { finding, applied } of lines) console.log(JSON.stringify(jsonOf(finding, applied)))
    return
  }
  const columns = Math.min(Math.max(process.stdout.columns ?? 100, 80), 110)
  process.stdout.write(`${formatFindings(lines, { columns, withWanted })}\n`)
  const left = lines.filter(({ applied }) => applied?.kind !== 'written').map(({ finding }) => finding)
  const written = lines.length - left.length
  const tally = [...(written === 0 ? [] : [`${written} written`]), formatTally(left)].filter(Boolean)
  process.stdout.write(`${tally.join(', ')}\n${formatObstacles(left)}`)
}

function exitStatus(lines: readonly Line[]): number {
  const verdicts = lines.map(({ finding, applied }) => (applied?.kind === 'written' ? 'ok' : finding.verdict))
  if (verdicts.some(verdict => verdict !== 'ok' && verdict !== 'cannot know')) return SOMETHING_WRONG
  return verdicts.includes('cannot know') ? CANNOT_KNOW : 0
}

function jsonOf(finding: Finding, applied: Applied | null): object {
  const { domain, subject, name, type, verdict, reason, found, wanted, change, replacement, obstacle } =
    finding
  return {
    ...{ domain, subject, name, type, verdict, reason, found, wanted },
    // What `apply` does about it.
    change: change === null ? null : { remove: change.remove.map(show), add: change.add.map(show) },
    replaceable: replacement !== null,
    ...(obstacle === undefined ? {} : { obstacle }),
    ...(applied === null ? {} : { applied: applied.kind }),
    ...(applied?.kind === 'failed' ? { failure: applied.reason } : {}),
  }
}
