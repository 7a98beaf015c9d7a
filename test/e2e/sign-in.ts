/** A dialog with the submission server, as far as AUTH. */

import type { TestContext } from 'node:test'
import { type Deployment, PASSWORD, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'

export async function signIn(
  t: TestContext,
  deployment: Deployment,
  user = USER,
  password = PASSWORD,
): Promise<Dialog> {
  const { port } = deployment.config.submission.listen
  const dialog = await Dialog.tls(port, { ca: deployment.authority.certificate, servername: 'localhost' })
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  await dialog.say('EHLO client.test', 250)
  await dialog.say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`, 235)
  return dialog
}
