import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../config/load.ts'
import { checkAddresses } from './check-addresses.ts'
import { SERVICES, type ServiceName } from './service.ts'

/** `key: message`; in brackets what is only a warning. */
async function findings(toml: string, services: readonly ServiceName[] = SERVICES): Promise<string[]> {
  const config = parseConfig(`domain = "example.com"\n${toml}`, '/etc/ptt/ptt.toml')
  return (await checkAddresses(config, services)).map(({ keys, message, warning }) =>
    warning ? `(${keys.join('.')}: ${message})` : `${keys.join('.')}: ${message}`,
  )
}

/** Ports that no other test has an interest in: nothing is opened at them. */
const fine = [
  'submission.listen = "127.0.0.1:465"',
  'submission.listen = "0.0.0.0:465"',
  'submission.listen = "localhost:465"',
  'submission = { listen = "127.0.0.1:0", listen_starttls = "127.0.0.1:0" }',
  // One machine by several names, and a service that listens everywhere.
  'submission = { listen = "127.0.0.1:465", signer = "localhost:2525" }',
  'submission.listen = "127.0.0.1:465"\nsigner.listen = "0.0.0.0:2525"',
]
for (const toml of fine)
  test(`nothing is wrong with ${toml.replaceAll('\n', ', ')}`, async () => {
    const listen = toml.includes('submission') ? '' : 'submission.listen = "127.0.0.1:465"\n'
    assert.deepEqual(await findings(listen + toml), [])
  })

const wrong: [what: string, toml: string, found: RegExp[]][] = [
  [
    // RFC 5737: of no machine.
    'an address of another machine',
    'relay = { listen = "192.0.2.1:2526" }\nsigner.relay = "192.0.2.1:2526"',
    [/^relay\.listen: 192\.0\.2\.1 is no address of this machine: write one of its own, .* ptt config check/],
  ],
  [
    // RFC 6761 §6.4: never a name of anything.
    'a name that does not resolve',
    'submission = { listen = "mail.invalid:465", listen_starttls = "mail.invalid:587" }',
    [
      /^submission\.listen: mail\.invalid does not resolve/,
      /^submission\.listen_starttls: mail\.invalid does not resolve/,
    ],
  ],
  [
    'a webhook at an address of another machine',
    'hooks = { secret = "s", relay = "192.0.2.1:8080" }',
    [/^hooks\.relay: 192\.0\.2\.1 is no address/],
  ],
  [
    'two doors at one port',
    'signer.listen = "127.0.0.1:2526"\nsubmission.signer = "127.0.0.1:2526"\nrelay.signer = "127.0.0.1:2526"',
    [/^relay\.listen: 127\.0\.0\.1:2526 is taken by signer\.listen: write another port$/],
  ],
  [
    'a port that is taken at all addresses',
    'signer.listen = "0.0.0.0:2526"\nsubmission.signer = "127.0.0.1:2526"\nrelay.signer = "127.0.0.1:2526"',
    [/^relay\.listen: 127\.0\.0\.1:2526 is taken by signer\.listen/],
  ],
  [
    'a signer on another port than it is looked for',
    'signer.listen = "127.0.0.1:12525"',
    [
      /^\(submission\.signer: nobody answers at 127\.0\.0\.1:2525, as signer\.listen is 127\.0\.0\.1:12525: write that, unless the signer is on another machine\)$/,
      /^\(relay\.signer: nobody answers at 127\.0\.0\.1:2525, .*\)$/,
    ],
  ],
  [
    'a relay on another address than it is looked for',
    'signer.relay = "192.0.2.7:2526"',
    [/^\(signer\.relay: nobody answers at 192\.0\.2\.7:2526, as relay\.listen is 127\.0\.0\.1:2526: .*\)$/],
  ],
  [
    'another machine, where the service listens at all addresses of this one',
    'relay.listen = "0.0.0.0:2526"\nsigner.relay = "192.0.2.7:2526"',
    [/^\(signer\.relay: nobody answers at 192\.0\.2\.7:2526/],
  ],
]
for (const [what, toml, found] of wrong)
  test(`told: ${what}`, async () => {
    const listen = toml.includes('submission = {') ? '' : 'submission.listen = "127.0.0.1:465"\n'
    const told = await findings(listen + toml)
    assert.equal(told.length, found.length, told.join('\n'))
    for (const [at, line] of found.entries()) assert.match(told[at] ?? '', line)
  })

test('services of other machines are not looked at', async () => {
  const toml = 'submission = { listen = "192.0.2.1:465", signer = "192.0.2.2:2525" }'
  assert.deepEqual(await findings(toml, ['relay']), [])
  assert.deepEqual(await findings(toml, ['signer', 'relay']), [])
  assert.equal((await findings(toml, ['submission', 'relay'])).length, 1)
})
