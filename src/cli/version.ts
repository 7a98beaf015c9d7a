/** `ptt version`. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'

export function version(): string {
  const text = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export function versionCommand(): Command {
  return new Command('version')
    .description('print the version of ptt and of what runs it')
    .addHelpText('after', '\nExample:\n  ptt version')
    .action(() => {
      console.log(`ptt ${version()} (Node ${process.version}, ${process.platform} ${process.arch})`)
    })
}
