/** `ptt tls`: how mail to a destination is protected, and what became of it. */

import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { scramCrypto } from '../directory/scram.ts'
import { Networks, UNREACHABLE } from '../net/networks.ts'
import { Resolver } from '../net/resolver.ts'
import { silent } from '../observe/event.ts'
import { openMemoryShelf } from '../queue/memory/shelf.ts'
import { areTrusted } from '../relay/destination.ts'
import { policyFetcher } from '../relay/mta-sts/fetch.ts'
import { MtaSts } from '../relay/mta-sts/mta-sts.ts'
import { HostMemory } from '../relay/reach/host-memory.ts'
import { readRules } from '../relay/rules.ts'
import { checkTls, type Step } from '../relay/tls-check.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import { type ConfigOption, configOption } from './options.ts'
import { print } from './print.ts'
import { reportCommand } from './tls-report.ts'

interface CheckOptions extends ConfigOption {
  readonly json?: true
}

export function tlsCommand(): Command {
  return new Command('tls')
    .description('see how mail to a destination is protected on its way')
    .addCommand(checkCommand())
    .addCommand(reportCommand())
    .addHelpText(
      'after',
      `
Examples:
  ptt tls check example.org         what a delivery would do now, step by step
  ptt tls report 2026-11-20         what became of the connections of a day`,
    )
}

function checkCommand(): Command {
  return new Command('check')
    .description(
      'show what a delivery to a domain would do now, and why: DNS, policies, certificate, verdict',
    )
    .argument('<domain>', 'the domain of a recipient')
    .option('--json', 'a JSON object per step and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Each mail host is connected to, as far as TLS; no mail is sent. MTA-STS is looked at anew, not in what the relay remembers.
Exit status: 0 mail goes, verified; 1 mail goes, and who sits between could read it; 2 mail waits or comes back.

Example:
  ptt tls check example.org`,
    )
    .action(async (given: string, { config: path, json }: CheckOptions) => {
      const { relay, timeouts, limits } = loadConfig(path)
      const domain = normalizeDomain(given)
      const resolver = new Resolver({ servers: relay.resolver })
      const privateNetworks = new Networks(relay.privateNetworks)
      const fetch = policyFetcher({ resolver, privateNetworks })
      const now = Date.now
      const shelf = openMemoryShelf()
      const mtaSts = new MtaSts({ resolver, shelf, fetch, now, random: Math.random, log: silent })
      const means = {
        lookup: { resolver, trusted: relay.resolverValidates ?? areTrusted(relay.resolver) },
        memory: new HostMemory(now),
        privateNetworks,
        unreachable: UNREACHABLE,
        smtpPort: relay.smtpPort,
        connectMs: relay.connectMs,
        timeouts: { ...TIMEOUTS, ...timeouts },
        replyLineOctets: limits.replyLineOctets,
        scram: scramCrypto,
        hostname: relay.hostname,
        tlsLevels: readRules({ relay }).tlsLevels,
        ...(relay.mtaSts ? { mtaSts } : {}),
        now,
      }
      try {
        if (!json) await print(`What a delivery to ${domain} would do now:\n\n`)
        let last: Step | undefined
        for await (const step of checkTls(domain, means)) {
          await print(json ? `${JSON.stringify(step)}\n` : lineOf(step))
          last = step
        }
        process.exitCode = last?.state === 'ok' ? 0 : last?.state === 'weak' ? 1 : 2
      } finally {
        mtaSts.close()
        resolver.close()
        await shelf.close()
      }
    })
}

function lineOf({ about, host, state, text }: Step): string {
  const name = host === null ? '' : `${host}  `
  return `${state.padEnd(8)} ${about.padEnd(10)} ${name}${text}\n`
}
