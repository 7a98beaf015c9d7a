/** `ptt shaping`: how the relay treats a destination, and by which rules. */

import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { readShaping, type ShapingRule } from '../config/shaping.ts'
import { Resolver } from '../net/resolver.ts'
import { areTrusted, route } from '../relay/destination.ts'
import { type Shaped, shapeFor, usualShape } from '../relay/shaping.ts'
import { siteKey } from '../relay/site/sites.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { type ConfigOption, configOption } from './options.ts'
import { print } from './print.ts'

interface ExplainOptions extends ConfigOption {
  readonly json?: true
}

export function shapingCommand(): Command {
  return new Command('shaping')
    .description('see how the relay treats a destination: connections, messages, pace')
    .addCommand(explainCommand())
    .addHelpText(
      'after',
      `
Examples:
  ptt shaping explain gmail.com      its hosts, the rules that apply, and what they come to`,
    )
}

function explainCommand(): Command {
  return new Command('explain')
    .description("ask for a domain's mail hosts, and tell which rules apply to them")
    .argument('<domain>', 'the domain of a recipient')
    .option('--json', 'as a JSON object')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  ptt shaping explain gmail.com')
    .action(async (domain: string, { config: path, json }: ExplainOptions) => {
      const { relay } = loadConfig(path)
      const rules = readShaping(relay.shaping)
      const destination = normalizeDomain(domain)
      const hosts = await hostsOf(destination, relay)
      const usual = usualShape(relay.concurrency)
      const shaped = shapeFor(rules, usual, destination, hosts)
      const text = json
        ? JSON.stringify({ destination, site: siteKey(hosts), shape: shaped.shape, rules: shaped.rules })
        : explain(destination, hosts, shaped)
      await print(`${text}\n`)
    })
}

async function hostsOf(
  destination: string,
  relay: { readonly resolver: readonly { host: string; port: number }[]; readonly hostname: string },
): Promise<string[]> {
  const resolver = new Resolver({ servers: relay.resolver })
  try {
    const lookup = { resolver, trusted: areTrusted(relay.resolver) }
    const where = await route(destination, lookup, [relay.hostname], () => 0.5)
    if (where.kind === 'none') throw new Error(`${destination}: ${where.diagnostic} (${where.status})`)
    return where.hosts.map(({ name }) => name)
  } finally {
    resolver.close()
  }
}

function explain(destination: string, hosts: readonly string[], { shape, rules }: Shaped): string {
  const lines = [
    `${destination} is at the site ${siteKey(hosts)}`,
    '',
    ...(rules.length === 0 ? ['No rule speaks of it: it is treated as most are.'] : rules.flatMap(lineOf)),
    '',
    `  concurrency                 ${shape.concurrency.initial} at first, up to ${shape.concurrency.max}`,
    `  messages_per_second         ${shape.messagesPerSecond ?? 'no limit'}`,
    `  connections_per_minute      ${shape.connectionsPerMinute ?? 'no limit'}`,
    `  messages_per_connection     ${shape.messagesPerConnection}`,
    `  connection_age              ${shape.connectionAgeMs / 1000}s`,
    `  idle                        ${shape.idleMs / 1000}s`,
    `  recipients_per_transaction  ${shape.recipientsPerTransaction}`,
  ]
  return lines.join('\n')
}

function lineOf({ name, where, because, domains, hosts }: ShapingRule): string[] {
  const pattern =
    [...(domains ?? []), ...(hosts ?? []).map(host => `hosts ${host}`)].join(', ') || 'everything'
  return [`  ${name} (${where}): ${pattern}`, ...(because === undefined ? [] : [`    because ${because}`])]
}
