/** A Postfix of its own: all it has lies in a folder, so that the machine's Postfix is left alone. Only root can start one. */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, run, temporaryFolder } from './program.ts'

export interface InstanceFolder {
  readonly path: string
  at(name: string): string
  remove(): void
}

export interface Instance {
  readonly folder: InstanceFolder
  /** All it logged. */
  log(): string
  /** The first match in what it logged and will log. */
  logged(pattern: RegExp): Promise<RegExpExecArray>
  stop(): Promise<void>
}

/** With the folders every Postfix wants, owned as it wants them. */
export async function instanceFolder(name: string): Promise<InstanceFolder> {
  assert.ok(isRoot, 'only root can start a Postfix')
  const folder = temporaryFolder(name)
  const at = (file: string) => join(folder.path, file)
  for (const each of ['etc', 'queue', 'data']) mkdirSync(at(each))
  const owned = await run('chown', ['postfix', at('data')])
  assert.equal(owned.code, 0, owned.output)
  return { path: folder.path, at, remove: folder.remove }
}

/** `parameters`: main.cf, beside what every instance has; `services`: master.cf, beside what every instance runs. */
export async function startInstance(
  folder: InstanceFolder,
  parameters: Readonly<Record<string, string>>,
  services: string,
): Promise<Instance> {
  const { at } = folder
  const all = {
    compatibility_level: '3.6',
    queue_directory: at('queue'),
    data_directory: at('data'),
    maillog_file_prefixes: folder.path,
    maillog_file: at('mail.log'),
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    mynetworks: '',
    mydestination: '',
    alias_maps: '',
    alias_database: '',
    ...parameters,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`)
  writeFileSync(at('etc/main.cf'), lines.join(''))
  writeFileSync(at('etc/master.cf'), `${services.trimEnd()}\n${SERVICES}`)
  const started = await run('postfix', ['-c', at('etc'), 'start'])
  const log = () => (existsSync(at('mail.log')) ? readFileSync(at('mail.log'), 'utf8') : '')
  assert.equal(started.code, 0, `${started.output}${log()}`)
  return {
    folder,
    log,
    logged: pattern => logged(folder.path, log, pattern),
    async stop() {
      // Waits until the master process is gone.
      const stopped = await run('postfix', ['-c', at('etc'), 'stop'])
      assert.equal(stopped.code, 0, stopped.output)
      folder.remove()
    },
  }
}

/** master(5): what every Postfix needs, nothing in a chroot. */
const SERVICES = `cleanup   unix       n - n -     0 cleanup
qmgr      unix       n - n 300   1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n -     - trivial-rewrite
bounce    unix       - - n -     0 bounce
defer     unix       - - n -     0 bounce
trace     unix       - - n -     0 bounce
error     unix       - - n -     - error
retry     unix       - - n -     - error
anvil     unix       - - n -     1 anvil
proxymap  unix       - - n -     - proxymap
postlog   unix-dgram n - n -     1 postlogd
`

const PATIENCE_MS = 30_000

async function logged(folder: string, log: () => string, pattern: RegExp): Promise<RegExpExecArray> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const changed = new EventTarget()
  const watcher = watch(folder, () => changed.dispatchEvent(new Event('change')))
  try {
    for (;;) {
      const next = new Promise<void>(resolve => {
        changed.addEventListener('change', () => resolve(), { once: true })
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      const found = pattern.exec(log())
      if (found !== null) return found
      assert.ok(!signal.aborted, `Postfix does not log ${pattern}: …${log().slice(-5000)}`)
      await next
    }
  } finally {
    watcher.close()
  }
}
