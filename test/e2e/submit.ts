/** A submission by hand, with what the sender asks for: parameters of MAIL and RCPT that few programs can say. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type Deployment, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'

export interface Request {
  /** What stands behind the reverse-path: `RET=HDRS ENVID=QQ314159`. */
  readonly mail?: string
  /** Address → what stands behind the forward-path. */
  readonly rcpt: Readonly<Record<string, string>>
  /** CRLF line ends, also at its end. */
  readonly body?: string
}

/** Resolves to the message's id. */
export async function submit(t: TestContext, deployment: Deployment, request: Request): Promise<string> {
  const { mail = '', rcpt, body = 'How about tonight?\r\n' } = request
  const dialog = await signIn(t, deployment)
  await dialog.say(`MAIL FROM:<${USER}> ${mail}`.trimEnd(), 250)
  for (const [address, parameters] of Object.entries(rcpt))
    await dialog.say(`RCPT TO:<${address}> ${parameters}`.trimEnd(), 250)
  await dialog.say('DATA', 354)
  dialog.send(`From: ${USER}\r\nSubject: Dinner\r\n\r\n${body}`)
  const accepted = await dialog.say('.', 250)
  await dialog.say('QUIT', 221)
  const id = /[0-9A-HJKMNP-TV-Z]{26}/.exec(accepted)?.[0]
  assert.ok(id !== undefined, `no id in the reply: ${accepted}`)
  return id
}
