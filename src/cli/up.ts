/** `ptt up`: the three services on one machine, each a process of its own as everywhere, kept alive. */

import { extname, join } from 'node:path'
import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { openLog } from '../observe/log.ts'
import { type ConfigOption, configOption, verboseOption } from './options.ts'
import type { ServiceName } from './service.ts'
import { type Program, Supervisor } from './supervise.ts'

/** Who is needed by others starts before them and stops after them. */
const ORDER: readonly ServiceName[] = ['relay', 'signer', 'submission']

/** The services as child processes, with the configuration `file`. */
export function servicePrograms(file: string, verbose = false): Program[] {
  const main = join(import.meta.dirname, `main${extname(import.meta.filename)}`)
  return ORDER.map(name => ({
    name,
    args: [main, name, '--config', file, ...(verbose ? ['--verbose'] : [])],
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
Each service is a process of its own. One that ends is started again: after 100 ms, then after twice as long each time
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
  const supervisor = new Supervisor({ programs: servicePrograms(config.file, verbose), log })
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
