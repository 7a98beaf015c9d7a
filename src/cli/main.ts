/** `ptt`: finds the command and runs it. A command's own code is loaded only when it is the one. */

import { Command } from 'commander'
import { ConfigError } from '../config/load.ts'
import { version } from './version.ts'

interface Entry {
  readonly group: string
  readonly aliases?: readonly string[]
  load(): Promise<Command>
}

const RUN = 'Run:'
const SET_UP = 'Set up:'
const LOOK_AFTER = 'Look after:'
const USE = 'Use:'

const COMMANDS: Record<string, Entry> = {
  sandbox: { group: SET_UP, load: async () => (await import('./sandbox.ts')).sandboxCommand() },
  init: { group: SET_UP, load: async () => (await import('./init.ts')).initCommand() },
  config: { group: SET_UP, load: async () => (await import('./config.ts')).configCommand() },
  up: { group: RUN, load: async () => (await import('./up.ts')).upCommand() },
  submission: {
    group: RUN,
    aliases: ['lipap'],
    load: async () => (await import('./service.ts')).serviceCommand('submission'),
  },
  signer: {
    group: RUN,
    aliases: ['nec'],
    load: async () => (await import('./service.ts')).serviceCommand('signer'),
  },
  relay: {
    group: RUN,
    aliases: ['mti-gf'],
    load: async () => (await import('./service.ts')).serviceCommand('relay'),
  },
  certificate: {
    group: RUN,
    load: async () => (await import('./certificate.ts')).certificateCommand(),
  },
  image: { group: RUN, load: async () => (await import('./image.ts')).imageCommand() },
  domain: { group: LOOK_AFTER, load: async () => (await import('./domain.ts')).domainCommand() },
  user: { group: LOOK_AFTER, load: async () => (await import('./user.ts')).userCommand() },
  group: { group: LOOK_AFTER, load: async () => (await import('./group.ts')).groupCommand() },
  alias: { group: LOOK_AFTER, load: async () => (await import('./alias.ts')).aliasCommand() },
  directory: { group: LOOK_AFTER, load: async () => (await import('./directory.ts')).directoryCommand() },
  key: { group: LOOK_AFTER, load: async () => (await import('./key.ts')).keyCommand() },
  dns: { group: LOOK_AFTER, load: async () => (await import('./dns.ts')).dnsCommand() },
  queue: { group: LOOK_AFTER, load: async () => (await import('./queue.ts')).queueCommand() },
  suppression: {
    group: LOOK_AFTER,
    load: async () => (await import('./suppression.ts')).suppressionCommand(),
  },
  tls: { group: LOOK_AFTER, load: async () => (await import('./tls.ts')).tlsCommand() },
  shaping: { group: LOOK_AFTER, load: async () => (await import('./shaping.ts')).shapingCommand() },
  send: { group: USE, load: async () => (await import('./send.ts')).sendCommand() },
  version: { group: USE, load: async () => (await import('./version.ts')).versionCommand() },
}

export async function main(argv: readonly string[]): Promise<void> {
  try {
    const program = await programFor(argv[2])
    await program.parseAsync([...argv])
  } catch (error) {
    process.stderr.write(complaint(argv[2], error))
    process.exitCode = 1
  }
}

/** The program with the one command that is meant, or with all of them where that is not clear. */
export async function programFor(word: string | undefined): Promise<Command> {
  const program = new Command('ptt')
    .description('Poste, Télégraphe et Téléphone: three small servers that send mail')
    .version(version(), '--version')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `
Examples:
  ptt sandbox                                   all of it, with a pretend Internet, to look around
  ptt init --domain example.com --user alice    a deployment in this folder
  ptt config check                              what is wrong with it
  ptt up                                        run it

ptt COMMAND --help tells more.`,
    )
  const meant = Object.entries(COMMANDS).filter(
    ([name, { aliases }]) => word === name || (word && aliases?.includes(word)),
  )
  if (word === '--version') return program
  for (const [, { group, load }] of meant.length > 0 ? meant : Object.entries(COMMANDS)) {
    program.addCommand((await load()).helpGroup(group))
  }
  return program
}

/** What is wrong with the configuration or the machine is said in a line each; what is wrong with ptt, with its stack. */
function complaint(word: string | undefined, error: unknown): string {
  if (error instanceof ConfigError) return `${error.message}\n`
  if (!(error instanceof Error)) return `ptt: ${String(error)}\n`
  const ours = ['AssertionError', 'TypeError', 'RangeError', 'ReferenceError', 'SyntaxError'].includes(
    error.name,
  )
  return `ptt${word ? ` ${word}` : ''}: ${ours ? error.stack : error.message}\n`
}

if (import.meta.main) void main(process.argv)
