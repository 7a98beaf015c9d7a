/** `ptt version`. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'

/** Where ptt is one script without files beside it (scripts/build-bundle.mjs). */
declare const PTT_VERSION: string | undefined

export function version(): string {
  if (typeof PTT_VERSION === 'string') return PTT_VERSION
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
