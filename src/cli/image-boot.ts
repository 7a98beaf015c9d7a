/** `ptt image boot`: what init starts inside an image (image/init/service.c). The options of the kernel command line are its. */

import { Argument, Command } from 'commander'
import type { Config } from '../config/schema.ts'
import { type BootOptions, prepare, SERVICES, type Service } from '../image/settings.ts'
import { addKeyOptions, adjust, type KeyOptions } from './key-options.ts'
import { verboseOption } from './options.ts'
import { runService } from './service.ts'

export function bootCommand(): Command {
  const command = new Command('boot')
    .description('start a service with the options of its machine')
    .addArgument(new Argument('<service>', 'which').choices(SERVICES))
    .argument('[options...]', 'those of the machine')
    .addHelpText('after', '\nExample:\n  ptt image boot relay -- --domain example.com')
    .action(async (service: Service, words: readonly string[]) => {
      await machineCommand(service).parseAsync([...words], { from: 'user' })
    })
  return command
}

/** The options of a machine of this service. */
export function machineCommand(service: Service): Command {
  const command = new Command(service)
    .helpOption(false)
    .allowExcessArguments(false)
    .addOption(verboseOption())
    .option('--domain <domain>', 'the domain of the deployment')
    .option('--postmaster <mailbox>', 'who notices come from')
    .option('--repository <url>', 'the Git repository of users')
    .option('--branch <branch>', 'its branch')
    .option('--listen <endpoint>', 'where the service listens')
    .option('--set <key=value>', 'any key of ptt.toml, such as relay.concurrency=10', collect, [])
    .action((options: BootOptions & KeyOptions & { verbose?: true }) => boot(service, options))
  if (service !== 'signer') command.option('--hostname <name>', 'the name of the service')
  if (service !== 'relay') command.option('--destination <endpoint>', 'where the next service is')
  if (service === 'relay') command.option('--signer <endpoint>', 'where notices are signed')
  if (service !== 'submission')
    command
      .option('--dns-server <endpoint>', 'the primary DNS server; of the relay, its resolver')
      .option('--resolver <endpoints>', 'the resolvers, with commas between them')
  if (service !== 'signer') return command
  return addKeyOptions(
    command.option('--dns-key <key>', 'the TSIG key: NAME:ALGORITHM:BASE64, or a file of the config disk'),
  )
}

async function boot(service: Service, options: BootOptions & KeyOptions & { verbose?: true }): Promise<void> {
  const home = process.env.HOME
  if (home === undefined) throw new Error('HOME is not set: this is for images, see `ptt image build`')
  const config = prepare({ service, home, data: process.env.PTT_DATA }, options)
  const adjusting = service === 'signer' ? (config: Config) => adjust(config, options) : undefined
  await runService(service, config, options.verbose ?? false, adjusting)
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}
