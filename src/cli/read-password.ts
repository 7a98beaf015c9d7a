/** A new password: asked for twice on a terminal, without showing it; else the first line of standard input. */

import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean }
  /** Questions go where they are seen although the output is piped: standard error. */
  readonly output: { write(text: string): unknown }
}

export async function readNewPassword(
  user: string,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<string> {
  if (!input.isTTY) {
    const given = await text(input)
    const [password = '', ...more] = given.replace(/\r?\n$/, '').split('\n')
    if (password === '') throw new Error('no password on standard input')
    if (more.length > 0) throw new Error('standard input has more than the one line with the password')
    return password
  }
  const lines = new HiddenLines(input)
  try {
    for (let attempt = 1; attempt <= 3; attempt++) {
      const password = await lines.ask(`New password for ${user}: `, output)
      if (password === '') throw new Error('no password, nothing changed')
      if ((await lines.ask('Once more: ', output)) === password) return password
      output.write('They differ.\n')
    }
    throw new Error('no password, nothing changed')
  } finally {
    lines.close()
  }
}

/** Lines from a terminal that shows nothing of them: readline edits, and what it would echo goes nowhere. */
class HiddenLines {
  readonly #readline: ReturnType<typeof createInterface>

  constructor(input: Readable) {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
    this.#readline = createInterface({ input, output: nowhere, terminal: true, historySize: 0 })
  }

  ask(question: string, output: Terminal['output']): Promise<string> {
    output.write(question)
    return new Promise<string>((resolve, reject) => {
      const stop = () => reject(new Error('stopped, nothing changed'))
      // Ctrl-C, Ctrl-D and the end of the terminal.
      this.#readline.once('SIGINT', stop).once('close', stop)
      this.#readline.question('', line => {
        this.#readline.off('SIGINT', stop).off('close', stop)
        resolve(line)
      })
    }).finally(() => output.write('\n'))
  }

  close(): void {
    this.#readline.close()
  }
}
