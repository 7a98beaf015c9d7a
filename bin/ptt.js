#!/usr/bin/env node
// ptt from a clone: the sources as they stand; as it is installed: what was compiled of them (dist/). It needs Node 24: on
// an older one it goes on under the one that `npm ci` puts in node_modules.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const at = path => fileURLToPath(new URL(`../${path}`, import.meta.url))
const main = [at('src/cli/main.ts'), at('dist/cli/main.js')].find(existsSync)
const newer = at('node_modules/node/bin/node')

if (Number.parseInt(process.versions.node, 10) >= 24) {
  await (await import(main)).main(process.argv)
} else if (existsSync(newer)) {
  const child = spawn(newer, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  child.on('error', error => {
    console.error(`ptt: ${newer}: ${error.message}`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (signal === 'SIGINT' ? 2 : 15)
  })
} else {
  console.error(`ptt needs Node 24; this is ${process.version}`)
  process.exitCode = 1
}
