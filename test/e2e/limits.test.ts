/** Limits a day: kept over processes that share them, over kills and restarts, and counting what was accepted only. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { run } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'
import { type Deployment, DOMAIN, deploy, PASSWORD, USER } from './deployment.ts'
import type { Dialog } from './dialog.ts'
import { startProcess } from './service-process.ts'
import { signIn } from './sign-in.ts'
import { SmallDisk, whyNoSmallDisk, withSmallDisk } from './small-disk.ts'

const HOUR_MS = 3_600_000
const ALICE = `${DOMAIN}/users/alice.toml`
const BOB = `bob@${DOMAIN}`
const verifier = formatVerifier(await makeVerifier(PASSWORD, { iterations: 4096 }))

/** Alice and Bob; what alice's file says beside her password, and what domain.toml says. */
const people = (alice: string, domain = '') => ({
  [ALICE]: `password = "${verifier}"\n${alice}\n`,
  [`${DOMAIN}/users/bob.toml`]: `password = "${verifier}"\n`,
  [`${DOMAIN}/domain.toml`]: domain,
})

const TEXT = `From: ${USER}\r\nSubject: x\r\n\r\nText.\r\n`

/** One message; the first reply that is not positive, or the last. */
async function send(dialog: Dialog, to: readonly string[] = ['bob@internet.test'], text = TEXT) {
  const commands = [`MAIL FROM:<${USER}>`, ...to.map(path => `RCPT TO:<${path}>`), 'DATA']
  for (const command of commands) {
    const answer = await dialog.say(command)
    if (/^[45]/.test(answer)) return answer
  }
  return dialog.say(`${text}.`)
}

const told = (deployment: Deployment) =>
  deployment.events.filter(({ name }) => name === 'limit').map(({ fields }) => fields)
const accepted = (deployment: Deployment) =>
  deployment.events.filter(({ name, service }) => name === 'accepted' && service === 'submission')

/** From when on there is room: what was sent in this hour counts no more. */
const nextDay = (nowMs: number) =>
  new Date((Math.floor(nowMs / HOUR_MS) + 24) * HOUR_MS).toISOString().slice(0, 16).replace('T', ' ')

/** The same deployment with another submission process: a port and a clone of its own, and the same folder of counts. */
async function second(deployment: Deployment): Promise<Deployment> {
  const port = await freePort()
  const text = readFileSync(deployment.config.file, 'utf8')
  const file = join(deployment.folder, 'second.toml')
  const listen = `listen = "127.0.0.1:${deployment.config.submission.listen.port}"`
  assert.ok(text.includes(listen))
  writeFileSync(file, text.replace(listen, `listen = "127.0.0.1:${port}"\nclone = "clones/second.git"`))
  return { ...deployment, config: loadConfig(file) }
}

test('two processes share the limits; they outlast kill -9 and a restart, and end with the day', async t => {
  const limits = 'limits = { messages_per_day = 5 }'
  const deployment = await deploy(t, { files: people(limits), services: ['relay', 'signer'] })
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  const both = [deployment, await second(deployment)]
  const startedMs = Date.now()
  let processes = both.map(each => startProcess(t, each, 'submission'))
  await Promise.all(processes.map(({ started }) => started))

  const dialogs = await Promise.all([...both, ...both, ...both, ...both].map(each => signIn(t, each)))
  const answers = (await Promise.all(dialogs.map(dialog => send(dialog)))).concat(
    await Promise.all(dialogs.map(dialog => send(dialog))),
  )
  assert.equal(answers.filter(answer => /^250 /.test(answer)).length, 5)
  const refused = answers.filter(answer => !/^250 /.test(answer))
  const times = [nextDay(startedMs), nextDay(Date.now())].join('|')
  for (const answer of refused)
    assert.match(
      answer,
      new RegExp(
        `^450 4\\.7\\.1 ${USER} may send 5 messages a day, and has done so; try again from (${times}) UTC`,
      ),
    )
  assert.equal(accepted(deployment).length, 5)
  assert.deepEqual(told(deployment), [{ of: USER, about: 'messages a day', used: 4, limit: 5 }])

  for (const process of processes) await process.kill()
  processes = both.map(each => startProcess(t, each, 'submission'))
  await Promise.all(processes.map(({ started }) => started))
  for (const each of both) assert.match(await send(await signIn(t, each)), /^450 4\.7\.1 /)
  for (const process of processes) await process.stop()

  const realMs = Date.now
  t.mock.method(Date, 'now', () => realMs() + 24 * HOUR_MS)
  await deployment.start('submission')
  const tomorrow = await signIn(t, deployment)
  for (let count = 0; count < 5; count++) assert.match(await send(tomorrow), /^250 /)
  assert.match(await send(tomorrow), /^450 4\.7\.1 /)
})

test('killed again and again in the middle of it: never more than the limit, and the other process goes on', async t => {
  const limit = 300
  const limits = `limits = { messages_per_day = ${limit}, new_recipients_per_day = 5000 }`
  const deployment = await deploy(t, { files: people(limits), services: ['relay', 'signer'] })
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  const other = await second(deployment)
  let positive = 0
  /** Messages to people who are new, until one is not accepted: its reply. */
  const flood = async (dialog: Dialog, name: string) => {
    for (let count = 0; ; count++) {
      const answer = await send(dialog, [`${name}${count}@internet.test`])
      if (!answer.startsWith('250')) return answer
      positive++
    }
  }
  await startProcess(t, other, 'submission').started
  const survivor = flood(await signIn(t, other), 'survivor')
  for (let life = 0; life < 4; life++) {
    const victim = startProcess(t, deployment, 'submission')
    await victim.started
    const dialogs = await Promise.all([1, 2, 3].map(() => signIn(t, deployment)))
    const floods = dialogs.map((dialog, index) => flood(dialog, `${life}-${index}-`).catch(() => 'cut off'))
    // Not before something has happened in each life, and in the middle of more; unless nothing is left to be had.
    await Promise.race([victim.heard(victim.events.length + 6), Promise.all(floods)])
    await victim.kill()
    await Promise.all(floods)
  }
  const spent = new RegExp(`^450 4\\.7\\.1 ${USER} may send ${limit} messages a day`)
  assert.match(await survivor, spent, 'whoever was killed, and whatever he held')
  assert.match(await send(await signIn(t, other)), spent)
  const queued = deployment.events.filter(({ name }) => name === 'queued').length
  assert.ok(positive <= queued && queued <= limit, `${positive} acknowledged, ${queued} queued`)
  assert.deepEqual(
    deployment.events.filter(({ name, fields }) => name === 'alarm' && fields.about === 'limits'),
    [],
  )
})

test('what is refused does not count: by submission, by the signer, by a hop that is away, by the client who goes', async t => {
  const deployment = await deploy(t, {
    files: people('limits = { messages_per_day = 2, new_recipients_per_day = 2 }'),
    toml: { submission: ['hop_wait = "500ms"'], signer: ['hop_wait = "250ms"'] },
  })
  const dialog = await signIn(t, deployment)
  const large = `From: ${USER}\r\nSubject: x\r\n\r\n${`${'x'.repeat(76)}\r\n`.repeat(10_000)}`
  for (let count = 0; count < 3; count++) {
    assert.match(await send(dialog, undefined, TEXT.replace(USER, 'ceo@bank.test')), /^550 5\.7\.1 /)
    assert.match(await send(dialog, undefined, large.replace(USER, BOB)), /^550 5\.7\.1 /)
  }
  const leaving = await signIn(t, deployment)
  await leaving.say(`MAIL FROM:<${USER}>`, 250)
  await leaving.say('RCPT TO:<carol@internet.test>', 250)
  await leaving.say('DATA', 354)
  leaving.send(large)
  await deployment.stop('relay')
  // With 451 in the middle of it, or of its end.
  for (const text of [TEXT, large, TEXT]) assert.match(await send(dialog, undefined, text), /^451 4\.4\.1 /)
  leaving.destroy()
  await deployment.stop('signer')
  for (const text of [TEXT, large, TEXT]) assert.match(await send(dialog, undefined, text), /^451 4\.4\.1 /)
  await deployment.start('relay')
  const before = deployment.events.length
  await deployment.start('signer')
  await deployment.event('key', happening => deployment.events.indexOf(happening) >= before)
  // A machine that is busy may need longer than the hops wait: that is one more that does not count.
  const atLast = async (to: readonly string[], text: string) => {
    for (let attempt = 0; ; attempt++) {
      const answer = await send(dialog, to, text)
      if (!answer.startsWith('451 4.4.1') || attempt === 50) return answer
    }
  }
  assert.match(await atLast(['one@internet.test', 'two@internet.test'], large), /^250 /)
  assert.match(await atLast(['one@internet.test'], TEXT), /^250 /)
  assert.match(await dialog.say(`MAIL FROM:<${USER}>`), /^450 4\.7\.1 /, 'before the content comes')
})

test('recipients: for now, or for ever; those of a domain together; new ones', async t => {
  const deployment = await deploy(t, {
    files: people(
      'limits = { recipients_per_day = 6, new_recipients_per_day = 3 }',
      'total_limits = { recipients_per_day = 7 }',
    ),
  })
  const dialog = await signIn(t, deployment)
  const to = (...names: string[]) => names.map(name => `${name}@internet.test`)
  assert.match(
    await send(dialog, to('a', 'b', 'c', 'd', 'e', 'f', 'g')),
    /^550 5\.7\.1 .* may send to 6 recipients a day, and this message has 7: send it to fewer/,
  )
  assert.match(await send(dialog, to('a', 'b', 'c', 'd')), /^550 5\.7\.1 .* 3 new recipients .* has 4/)
  assert.match(await send(dialog, to('a', 'b')), /^250 /)
  assert.match(
    await send(dialog, to('a', 'c', 'd')),
    /^450 4\.7\.1 .* may send to 3 new recipients a day, 1 are left, and this message has 2; try again from /,
  )
  assert.match(await send(dialog, to('a', 'b', 'c')), /^250 /)
  assert.match(await send(dialog, to('a', 'b')), /^450 4\.7\.1 .* 6 recipients a day, 1 are left/)
  const { output } = await run(...pttCommand('user', 'usage', '--config', deployment.config.file))
  const again = '\\d{4}-\\d\\d-\\d\\d \\d\\d:00 UTC'
  assert.match(
    output,
    new RegExp(
      [
        'WHO +LIMIT A DAY +USED +OF +ROOM AGAIN',
        `${USER} +recipients +5 +6`,
        `${USER} +new recipients +3 +3 +${again}`,
        'example\\.test +recipients +5 +7\n$',
      ].join('\n'),
    ),
  )
  // Bob has no limits of his own, and shares those of the domain.
  const bob = await signIn(t, deployment, BOB)
  await bob.say(`MAIL FROM:<${BOB}>`, 250)
  for (const path of to('x', 'y', 'z')) await bob.say(`RCPT TO:<${path}>`, 250)
  await bob.say('DATA', 354)
  assert.match(
    await bob.say(`${TEXT.replace(USER, BOB)}.`),
    /^450 4\.7\.1 example\.test may send to 7 recipients a day, 2 are left/,
  )
  assert.deepEqual(told(deployment), [
    { of: USER, about: 'recipients a day', used: 5, limit: 6 },
    { of: USER, about: 'new recipients a day', used: 3, limit: 3 },
  ])
})

test('a limit that is pushed holds at the next message of a session', async t => {
  const deployment = await deploy(t, { files: people(''), toml: { directory: ['interval = "1h"'] } })
  const dialog = await signIn(t, deployment)
  for (let count = 0; count < 3; count++) assert.match(await send(dialog), /^250 /)
  const state = join(deployment.folder, 'state')
  assert.equal(existsSync(state), false, 'who has no limits a day leaves nothing on the disk')
  const usage = () => run(...pttCommand('user', 'usage', '-c', deployment.config.file))
  assert.equal((await usage()).output, 'Nobody has limits a day.\n')
  await deployment.repository.commit(people('limits = { messages_per_day = 1 }'))
  assert.match((await usage()).output, new RegExp(`^WHO .*\n${USER} +messages +0 +1\n$`))
  assert.equal(existsSync(state), false, 'nor does the command')
  await deployment.reload('submission')
  assert.match(await send(dialog), /^250 /)
  assert.match(await send(dialog), /^450 4\.7\.1 /)
  await deployment.repository.commit(people(''))
  await deployment.reload('submission')
  assert.match(await send(dialog), /^250 /)
})

test('counts that cannot be read: temporary, with an alarm; who has no limits goes on', async t => {
  const deployment = await deploy(t, { files: people('limits = { messages_per_day = 5 }') })
  const dialog = await signIn(t, deployment)
  assert.match(await send(dialog), /^250 /)
  await deployment.stop('submission')
  const file = join(deployment.folder, 'state/submission/usage.mdb')
  renameSync(file, `${file}.kept`)
  writeFileSync(file, 'x'.repeat(10_000))
  await deployment.start('submission')
  const again = await signIn(t, deployment)
  for (let count = 0; count < 3; count++) assert.match(await send(again), /^451 4\.3\.0 /)
  const bob = await signIn(t, deployment, BOB)
  await bob.say(`MAIL FROM:<${BOB}>`, 250)
  await bob.say('RCPT TO:<x@internet.test>', 250)
  await bob.say('DATA', 354)
  await bob.say(`${TEXT.replace(USER, BOB)}.`, 250)
  const alarms = deployment.events.filter(({ name }) => name === 'alarm')
  assert.deepEqual(
    alarms.map(({ fields }) => [fields.about, /usage\.mdb is damaged/.test(String(fields.reason))]),
    [['limits', true]],
  )
  renameSync(`${file}.kept`, file)
  for (let count = 0; count < 4; count++) assert.match(await send(again), /^250 /)
  assert.match(await send(again), /^450 4\.7\.1 /)
})

test('the disk of the counts is full: temporary, and well again when there is room', async t => {
  if (!need(t, 'unshare')) return
  const limits = 'limits = { messages_per_day = 1000, new_recipients_per_day = 100000 }'
  const deployment = await deploy(t, { files: people(limits), services: ['relay', 'signer'] })
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  const folder = join(deployment.folder, 'state/submission')
  const why = await whyNoSmallDisk(folder)
  assert.ok(why === null || process.env.CI !== 'true', `a disk that can be full cannot be had: ${why}`)
  if (why !== null) return t.skip(`SKIPPED: neither root nor user namespaces: ${why}`)
  const submission = startProcess(t, deployment, 'submission', withSmallDisk(folder, '4m'))
  await submission.started
  const disk = new SmallDisk(submission.pid, folder)
  const dialog = await signIn(t, deployment)
  const recipients = (round: number) =>
    Array.from({ length: 300 }, (_, index) => `${round}-${index}@internet.test`)
  assert.match(await send(dialog, recipients(0)), /^250 /)
  disk.fill()
  const answers: string[] = []
  for (let round = 1; round <= 10; round++) answers.push((await send(dialog, recipients(round))).slice(0, 9))
  assert.ok(answers.includes('451 4.3.0'), answers.join())
  assert.deepEqual(
    answers.filter(answer => answer !== '451 4.3.0' && answer !== '250 2.0.0'),
    [],
  )
  await deployment.event('alarm', ({ fields }) => fields.about === 'limits')
  disk.empty()
  for (let round = 20; round < 23; round++) assert.match(await send(dialog, recipients(round)), /^250 /)
  await submission.stop()
})
