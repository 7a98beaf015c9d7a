/** nodemailer, in this process: 0 and the server's reply when the message was accepted, 1 and the error else. */

import { readFileSync } from 'node:fs'
import { createTransport } from 'nodemailer'
import type { Submission } from './client.ts'
import type { Finished } from './program.ts'

/** `content` goes instead of the submission's message: for what no string of UTF-8 holds. */
export async function nodemailer(submission: Submission, content?: Buffer): Promise<Finished> {
  const transport = createTransport({
    host: submission.host ?? '127.0.0.1',
    port: submission.port,
    secure: true,
    auth: { user: submission.username, pass: submission.password },
    tls: { ca: readFileSync(submission.ca) },
  })
  try {
    const info = await transport.sendMail({
      envelope: { from: submission.from, to: [...submission.to] },
      raw: content ?? submission.message,
    })
    return { code: info.rejected.length === 0 ? 0 : 1, output: info.response }
  } catch (error) {
    return { code: 1, output: String(error) }
  } finally {
    transport.close()
  }
}
