/** `ptt up`: the three services on one machine, and who looks after the certificate; each a process of its own as everywhere, kept alive. */

import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { openLog } from '../observe/log.ts'
import { ownScript } from './itself.ts'
import { type ConfigOption, configOption, verboseOption } from './options.ts'
import type { ProcessName } from './service.ts'
import { type Program, Supervisor } from './supervise.ts'

/** Who is needed by others starts before them and stops after them. */
const ORDER: readonly ProcessName[] = ['relay', 'signer', 'certificate', 'submission']

/** The services as child processes, with the configuration `file`; `certificate` where the configuration has its table. */
export function servicePrograms(file: string, verbose = false, certificate = false): Program[] {
  return ORDER.filter(name => name !== 'certificate' || certificate).map(name => ({
    name,
    args: [...ownScript(), name, '--config', file, ...(verbose ? ['--verbose'] : [])],
  }))
}

export function upCommand(): Command {
  return new Command('up')
    .description('run the three services on this machine')
    .addOption(configOption())
    .addOption(verboseOption())
    .addHelpText(
      'after',
      `
Each service is a process of its own, and so is \`ptt certificate\` where ptt.toml has a table [certificate]. One that
ends is started again: after 100 ms, then after twice as long each time
until it has been up for a while, and every 10 s at least. They log to the same standard output.

Examples:
  ptt up
  ptt up -c /etc/ptt/ptt.toml >> /var/log/ptt.log

Signals:
  SIGHUP            goes on to every service; the --help of each tells what it does there
  SIGTERM, SIGINT   they stop in order, submission first; a second one ends all at once`,
    )
    .action(async ({ config: file, verbose = false }: ConfigOption & { verbose?: boolean }) => {
      await up(file, verbose)
    })
}

async function up(file: string, verbose: boolean): Promise<void> {
  const config = loadConfig(file)
  const log = openLog({ service: 'ptt', level: verbose ? 'debug' : 'info' })
  const programs = servicePrograms(config.file, verbose, config.certificate !== undefined)
  const supervisor = new Supervisor({ programs, log })
  let closing = false
  const close = async () => {
    // The children see that we are gone, and what they had acknowledged is on disk.
    if (closing) process.exit(1)
    closing = true
    await supervisor.close()
    process.exit(0)
  }
  process.on('SIGHUP', () => supervisor.reload())
  process.on('SIGTERM', () => void close()).on('SIGINT', () => void close())
  try {
    await supervisor.start()
  } catch (error) {
    if (!closing) throw error
  }
}
