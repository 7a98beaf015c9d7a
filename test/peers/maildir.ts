/** Waiting for mail: reads a Maildir (that exists) when its `new` changes, until as many messages as expected lie there. */

import assert from 'node:assert/strict'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { readMaildir, type StoredMessage } from '../../src/sandbox/maildir.ts'

export async function awaitMessages(
  maildir: string,
  count: number,
  timeoutMs = 30_000,
): Promise<StoredMessage[]> {
  const signal = AbortSignal.timeout(timeoutMs)
  const changed = new EventTarget()
  const watcher = watch(join(maildir, 'new'), () => changed.dispatchEvent(new Event('change')))
  try {
    for (;;) {
      const next = new Promise<void>(resolve => {
        changed.addEventListener('change', () => resolve(), { once: true })
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      const messages = readMaildir(maildir)
      if (messages.length >= count) return messages
      assert.ok(
        !signal.aborted,
        `${messages.length} of ${count} messages in ${maildir} after ${timeoutMs} ms`,
      )
      await next
    }
  } finally {
    watcher.close()
  }
}
