/** `ptt config check`. */

import { readFileSync } from 'node:fs'
import { Argument, Command } from 'commander'
import { formatProblem, loadConfig } from '../config/load.ts'
import { type ConfigOption, configOption } from './options.ts'
import type { ServiceName } from './service.ts'

export function configCommand(): Command {
  return new Command('config')
    .description('look at the configuration')
    .addCommand(checkCommand())
    .addHelpText('after', '\nExample:\n  ptt config check -c /etc/ptt/ptt.toml     what is wrong with it')
}

function checkCommand(): Command {
  return new Command('check')
    .description('tell everything that is wrong with ptt.toml and with the files it names')
    .addArgument(
      new Argument('[services...]', 'the services of this machine; not given: all').choices([
        'submission',
        'signer',
        'relay',
      ]),
    )
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Each problem is one line: the file and line, the key, what is wrong, and what to write or to do instead. The status
is 0 when there is none. What is marked as a warning is none: a certificate that expires within 30 days, or a
service that is looked for where it does not listen, as it may be on another machine.

Examples:
  ptt config check                            all three services, with ptt.toml of this folder
  ptt config check relay                      on a machine that has only the relay
  ptt config check -c /etc/ptt/ptt.toml`,
    )
    .action(async (services: ServiceName[], { config: file }: ConfigOption) => {
      process.exitCode = await check(file, services)
    })
}

async function check(file: string, services: readonly ServiceName[]): Promise<number> {
  const config = loadConfig(file)
  const { checkFiles } = await import('./check.ts')
  const { errors, warnings } = await checkFiles(config, {
    toml: readFileSync(config.file, 'utf8'),
    ...(services.length > 0 ? { services } : {}),
    nowMs: Date.now(),
  })
  for (const problem of warnings) console.error(`${formatProblem(problem)} (warning)`)
  for (const problem of errors) console.error(formatProblem(problem))
  if (errors.length > 0) return 1
  console.log(`${file}: no problems`)
  return 0
}
