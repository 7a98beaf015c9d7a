/** `ptt directory import`: users and aliases of other systems, as one commit. */

import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Command, Option } from 'commander'
import { readCsv } from '../directory/import/csv.ts'
import { type Imported, importAll, rehearseImport } from '../directory/import/imported.ts'
import { readOriginal } from '../directory/import/original.ts'
import { readPostfixVirtual } from '../directory/import/postfix-virtual.ts'
import { formatDifference } from './directory-format.ts'
import { type ConfigOption, configOption } from './options.ts'
import { editOptions, shortCommit, TAKES_EFFECT } from './repository.ts'

interface ImportOptions extends ConfigOption {
  readonly from: keyof typeof READERS
  readonly dryRun?: true
}

const READERS = {
  original: readOriginal,
  'postfix-virtual': (path: string, domain: string) =>
    Promise.resolve(readPostfixVirtual(path, readFileSync(path, 'utf8'), domain)),
  csv: (path: string, domain: string) => readCsv(path, readFileSync(path, 'utf8'), domain),
} satisfies Record<string, (path: string, domain: string) => Promise<Imported>>

export function importCommand(): Command {
  return new Command('import')
    .description('take over users or aliases from elsewhere, as one commit')
    .argument('<file>', 'a file; for original, a folder or a bare Git repository')
    .addOption(
      new Option('--from <format>', 'what it is').choices(Object.keys(READERS)).makeOptionMandatory(),
    )
    .option('--dry-run', 'say what would be changed, or why it cannot be, and change nothing')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
original          users of the original ptt, a JSON file each; their hashes are weak: ptt user passwd for each
postfix-virtual   aliases as in virtual(5); domains that are not there yet are added
csv               users, with a head: user, password, senders, targets, suspended, message_size,
                  recipients_per_message, messages_per_day, recipients_per_day, new_recipients_per_day;
                  a password in clear becomes a verifier, lists are separated by spaces

All of it or nothing: what cannot be taken over is named, with its line. Who is there already is not touched.
${TAKES_EFFECT}

Examples:
  ptt directory import --from postfix-virtual /etc/postfix/virtual
  ptt directory import --from csv users.csv --dry-run`,
    )
    .action(async (file: string, { from, config, dryRun }: ImportOptions) => {
      const options = editOptions(config)
      const imported = await READERS[from](file, options.domain)
      if (dryRun) {
        const differences = await rehearseImport(options, imported)
        process.stdout.write(differences.map(each => `${formatDifference(each)}\n`).join(''))
        console.log('Nothing was changed: without --dry-run, this would be.')
        return
      }
      const commit = await importAll(options, basename(file), imported)
      const { users, aliases } = imported
      console.log(
        `${users.length} users and ${aliases.length} aliases imported: commit ${shortCommit(commit)} in ${options.repository}`,
      )
    })
}
