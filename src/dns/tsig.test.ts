import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage, encodeMessage } from './message.ts'
import {
  appendTsigError,
  otherTime,
  parseTsigKey,
  serverTime,
  signMessage,
  splitTsig,
  TSIG_ALGORITHMS,
  TSIG_ERROR,
  type Tsig,
  type TsigKey,
  verifyTsig,
} from './tsig.ts'
import { FormatError, HEADER_OCTETS } from './wire.ts'

const SECRET = Buffer.from('0123456789abcdef0123456789abcdef')
const key = parseTsigKey(`X._Update.example.com:hmac-sha256:${SECRET.toString('base64')}`)

/** What nsupdate (BIND 9.18.49) sent and what two servers answered, taken off the wire. */
const exchanges: { server: string; algorithm: string; request: string; response: string }[] = [
  {
    server: 'BIND 9.18.49',
    algorithm: 'hmac-sha256',
    request:
      '178a28000001000000010001076578616d706c6503636f6d00000600010174c00c001000010000003c00060568656c6c' +
      '6f0178075f757064617465076578616d706c6503636f6d0000fa00ff00000000003d0b686d61632d7368613235360000' +
      '006b020705012c00200c333819e2278670739890052b7a80dc154ed8f3c3e073625816ce7acace08ce178a00000000',
    response:
      '178aa8000001000000000001076578616d706c6503636f6d00000600010178075f757064617465076578616d706c6503' +
      '636f6d0000fa00ff00000000003d0b686d61632d7368613235360000006b020705012c00203a23753faf1ca82d9c6d2a' +
      '2dc0b545ed50e7b5fa1997a8f857c1653f6a4804ba178a00000000',
  },
  {
    server: 'BIND 9.18.49',
    algorithm: 'hmac-sha384',
    request:
      '656028000001000000010001076578616d706c6503636f6d00000600010174c00c001000010000003c00060568656c6c' +
      '6f0178075f757064617465076578616d706c6503636f6d0000fa00ff00000000004d0b686d61632d7368613338340000' +
      '006b020705012c00304439861a093f9e47e079c4c5a87b4b9d10619bf8a91d13a541b65d2ecdba89eddb797eec2ae67d' +
      '301b5540870cb27329656000000000',
    response:
      '6560a8000001000000000001076578616d706c6503636f6d00000600010178075f757064617465076578616d706c6503' +
      '636f6d0000fa00ff00000000004d0b686d61632d7368613338340000006b020705012c003095281fcfe382b40326c66d' +
      '502a392296b0588ac8dfcb5e46c9d81d86a38e663a8628d30b378ddab2f8bf46bd9a96e56d656000000000',
  },
  {
    server: 'BIND 9.18.49',
    algorithm: 'hmac-sha512',
    request:
      'f89128000001000000010001076578616d706c6503636f6d00000600010174c00c001000010000003c00060568656c6c' +
      '6f0178075f757064617465076578616d706c6503636f6d0000fa00ff00000000005d0b686d61632d7368613531320000' +
      '006b020705012c004038b280918188bd8a3fe8d907a501370f0138ff0c0ad422eb28a9450cfce3dfe7ae75c00f5d956d' +
      '809f39f13d8cd71d264346ffa04f01c34167df590b33dbabbaf89100000000',
    response:
      'f891a8000001000000000001076578616d706c6503636f6d00000600010178075f757064617465076578616d706c6503' +
      '636f6d0000fa00ff00000000005d0b686d61632d7368613531320000006b020705012c0040dccca43b3fa024f4bf86c2' +
      '34ec170d721fd9c8c990920698306d20b16d0cadd20d6d2cf75a948486a63c3a3db8ec13ced6e6161fc3ca1e64ef347d' +
      '288a9f2ce5f89100000000',
  },
  {
    server: 'Knot 3.2.6',
    algorithm: 'hmac-sha256',
    request:
      '236928000001000000010001076578616d706c6503636f6d00000600010174c00c001000010000003c00060568656c6c' +
      '6f0178075f757064617465076578616d706c6503636f6d0000fa00ff00000000003d0b686d61632d7368613235360000' +
      '006b020705012c0020489082f7f19b673c67509791789bd729ca5a75de11b4f95e9a552a30783a870d236900000000',
    response:
      '2369a8000001000000000001076578616d706c6503636f6d00000600010178075f757064617465076578616d706c6503' +
      '636f6d0000fa00ff00000000003d0b686d61632d7368613235360000006b020705012c002095e31ef4fc58973811ba3e' +
      '031d51cce6d6d3df700beccf72d788c522b2b1a35c236900000000',
  },
  {
    server: 'Knot 3.2.6',
    algorithm: 'hmac-sha384',
    request:
      'f53f28000001000000010001076578616d706c6503636f6d00000600010174c00c001000010000003c00060568656c6c' +
      '6f0178075f757064617465076578616d706c6503636f6d0000fa00ff00000000004d0b686d61632d7368613338340000' +
      '006b020705012c0030de02e8de882dd163309671469a774cea3e3cc206cb11d825fb3185f3342cd1d4cc62938b228082' +
      '210f195421f17cf64ef53f00000000',
    response:
      'f53fa8000001000000000001076578616d706c6503636f6d00000600010178075f757064617465076578616d706c6503' +
      '636f6d0000fa00ff00000000004d0b686d61632d7368613338340000006b020705012c00306451cb7c160d5bfad3ab06' +
      'b9e76f8fc977745d68b613369975bc24b5566310fad65fb466451b40048bd883dd7284d5d2f53f00000000',
  },
  {
    server: 'Knot 3.2.6',
    algorithm: 'hmac-sha512',
    request:
      '77c828000001000000010001076578616d706c6503636f6d00000600010174c00c001000010000003c00060568656c6c' +
      '6f0178075f757064617465076578616d706c6503636f6d0000fa00ff00000000005d0b686d61632d7368613531320000' +
      '006b020706012c004083e1fcd86b56d8912be2387928447eabfccd1d15d561c12c661003fdd44afaa0081e25355e4ca6' +
      'e5b2012c0ce7fce3f8bf2fb7800def9327157de86be9c456f777c800000000',
    response:
      '77c8a8000001000000000001076578616d706c6503636f6d00000600010178075f757064617465076578616d706c6503' +
      '636f6d0000fa00ff00000000005d0b686d61632d7368613531320000006b020706012c004007ac1edacb190d63405340' +
      '9975320b12eda4692f8cf140c241981e1c338830e40cd31967e2cdba3fb42a13d98fa5ee0bdf415a6df707cb7aed7f42' +
      '12a443743577c800000000',
  },
]

/** Our own requests and what named answered: the time 600 s early; another secret. */
const BADTIME_REQUEST =
  '7d1928000001000000010001076578616d706c6503636f6d00000600010174076578616d706c6503636f6d0000ff00ff' +
  '0000000000000178075f757064617465076578616d706c6503636f6d0000fa00ff00000000003d0b686d61632d736861' +
  '3235360000006b0204ad012c0020840f22ea0d1c7d014d36ae364a62ceb901fc8e1494c8797f4c85302d6b6fb80f7d19' +
  '00000000'
const BADTIME_RESPONSE =
  '7d19a8090001000000000001076578616d706c6503636f6d00000600010178075f757064617465076578616d706c6503' +
  '636f6d0000fa00ff0000000000430b686d61632d7368613235360000006b0204ad012c0020a615630d67cc32f1845d0b' +
  '6dc33cfc233f968f76ca3146a9a73d9b73d680674f7d190012000600006b020705'
const BADSIG_REQUEST =
  '0e9e28000001000000010001076578616d706c6503636f6d00000600010174076578616d706c6503636f6d0000ff00ff' +
  '0000000000000178075f757064617465076578616d706c6503636f6d0000fa00ff00000000003d0b686d61632d736861' +
  '3235360000006b020705012c0020a0478fd3202d861f34e23b68a842592c64cd88a05cce373ee38ea1ec25a54c620e9e' +
  '00000000'
const BADSIG_RESPONSE =
  '0e9ea8090001000000000001076578616d706c6503636f6d00000600010178075f757064617465076578616d706c6503' +
  '636f6d0000fa00ff00000000001d0b686d61632d7368613235360000006b020705012c00000e9e00100000'

for (const { server, algorithm, request, response } of exchanges) {
  const used: TsigKey = {
    ...key,
    algorithm: TSIG_ALGORITHMS.find(known => known === algorithm) ?? 'hmac-sha256',
  }

  test(`TSIG vector: ${server}, ${algorithm}: both messages verify`, () => {
    const asked = split(request)
    const { timeSeconds } = asked.tsig
    assert.equal(verifyTsig(asked.message, asked.tsig, used, { timeSeconds }), 'ok')
    const answered = split(response)
    const requestMac = asked.tsig.mac
    assert.equal(verifyTsig(answered.message, answered.tsig, used, { timeSeconds, requestMac }), 'ok')
    assert.equal(verifyTsig(answered.message, answered.tsig, used, { timeSeconds }), 'BADSIG')
    assert.equal(decodeMessage(answered.message).rcode, 'NOERROR')
  })

  test(`TSIG vector: ${server}, ${algorithm}: we sign the same octets`, () => {
    const asked = split(request)
    const { timeSeconds } = asked.tsig
    const signed = signMessage(asked.message, used, { timeSeconds })
    assert.equal(signed.octets.toString('hex'), request)
    const answered = split(response)
    const requestMac = signed.mac
    assert.equal(
      signMessage(answered.message, used, { timeSeconds, requestMac }).octets.toString('hex'),
      response,
    )
  })
}

test('TSIG vector: named answers BADTIME, signed, with our time and its own', () => {
  const asked = split(BADTIME_REQUEST)
  const answered = split(BADTIME_RESPONSE)
  const ours = asked.tsig.timeSeconds
  assert.equal(answered.tsig.timeSeconds, ours)
  assert.equal(answered.tsig.error, TSIG_ERROR.BADTIME)
  assert.equal(serverTime(answered.tsig), ours + 600)
  const requestMac = asked.tsig.mac
  assert.equal(verifyTsig(answered.message, answered.tsig, key, { timeSeconds: ours, requestMac }), 'ok')
  // As the server that got it saw it.
  assert.equal(verifyTsig(asked.message, asked.tsig, key, { timeSeconds: ours + 600 }), 'BADTIME')
  // We would answer the same octets.
  const again = signMessage(answered.message, key, {
    timeSeconds: ours,
    requestMac,
    error: TSIG_ERROR.BADTIME,
    other: otherTime(ours + 600),
  })
  assert.equal(again.octets.toString('hex'), BADTIME_RESPONSE)
})

test('TSIG vector: named answers BADSIG, unsigned', () => {
  const asked = split(BADSIG_REQUEST)
  assert.equal(verifyTsig(asked.message, asked.tsig, key, { timeSeconds: asked.tsig.timeSeconds }), 'BADSIG')
  const answered = split(BADSIG_RESPONSE)
  assert.equal(answered.tsig.mac.length, 0)
  assert.equal(answered.tsig.error, TSIG_ERROR.BADSIG)
  assert.equal(appendTsigError(answered.message, asked.tsig, 'BADSIG').toString('hex'), BADSIG_RESPONSE)
})

const time = 1_800_000_000
const message = encodeMessage({ id: 7, questions: [{ name: 'example.com', type: 'SOA', class: 'IN' }] })
const signed = signMessage(message, key, { timeSeconds: time })

const verdicts: [
  what: string,
  verdict: string,
  change: { tsig?: Partial<Tsig>; at?: number; key?: TsigKey },
][] = [
  ['as it was signed', 'ok', {}],
  ['300 s later', 'ok', { at: time + 300 }],
  ['301 s later', 'BADTIME', { at: time + 301 }],
  ['301 s earlier', 'BADTIME', { at: time - 301 }],
  ['another key name', 'BADKEY', { key: { ...key, name: 'y.example.com' } }],
  ['another algorithm', 'BADKEY', { key: { ...key, algorithm: 'hmac-sha512' } }],
  ['another secret', 'BADSIG', { key: { ...key, secret: Buffer.alloc(32) } }],
  // §5.2: the MAC is looked at before the time.
  ['another secret, late', 'BADSIG', { key: { ...key, secret: Buffer.alloc(32) }, at: time + 1000 }],
  ['a changed time', 'BADSIG', { tsig: { timeSeconds: time + 1 } }],
  ['a changed fudge', 'BADSIG', { tsig: { fudgeSeconds: 65535 } }],
  ['a changed error', 'BADSIG', { tsig: { error: 1 } }],
  ['a changed other', 'BADSIG', { tsig: { other: Buffer.from('x') } }],
  ['names in upper case', 'ok', { tsig: { name: key.name.toUpperCase(), algorithm: 'HMAC-SHA256' } }],
  ['no MAC', 'BADSIG', { tsig: { mac: Buffer.alloc(0) } }],
  ['half a MAC, the right one', 'BADTRUNC', { tsig: { mac: signed.mac.subarray(0, 16) } }],
  ['half a MAC, a wrong one', 'BADSIG', { tsig: { mac: Buffer.alloc(16) } }],
]
for (const [what, verdict, change] of verdicts) {
  test(`TSIG: ${what} is ${verdict}`, () => {
    const { message: unsigned, tsig } = split(signed.octets.toString('hex'))
    const timeSeconds = change.at ?? time
    assert.equal(
      verifyTsig(unsigned, { ...tsig, ...change.tsig }, change.key ?? key, { timeSeconds }),
      verdict,
    )
  })
}

test('TSIG: a MAC too long or too short for anybody is a format error (RFC 8945 §5.2.2.1)', () => {
  const { message: unsigned, tsig } = split(signed.octets.toString('hex'))
  for (const octets of [1, 9, 15, 33]) {
    const mac = Buffer.alloc(octets)
    assert.throws(() => verifyTsig(unsigned, { ...tsig, mac }, key, { timeSeconds: time }), FormatError)
  }
})

test('TSIG: every changed octet of the message is noticed', () => {
  for (let at = 0; at < signed.octets.length; at++) {
    const changed = Buffer.from(signed.octets)
    changed.writeUInt8(changed.readUInt8(at) ^ 0x01, at)
    let verdict: string
    try {
      const found = splitTsig(changed)
      verdict = found === null ? 'none' : verifyTsig(found.message, found.tsig, key, { timeSeconds: time })
    } catch (error) {
      assert.ok(error instanceof FormatError)
      verdict = 'FORMERR'
    }
    // The id of the header is replaced by the original one (§4.3.2), which a forwarder may have changed.
    assert.equal(verdict === 'ok', at < 2, `octet ${at}: ${verdict}`)
  }
})

test('TSIG: a forwarder that changed the id does not hurt', () => {
  const forwarded = Buffer.from(signed.octets)
  forwarded.writeUInt16BE(0xffff, 0)
  const { message: unsigned, tsig } = split(forwarded.toString('hex'))
  assert.deepEqual(unsigned, message)
  assert.equal(verifyTsig(unsigned, tsig, key, { timeSeconds: time }), 'ok')
})

test('TSIG: twice, or not last, is a format error (RFC 8945 §5.2)', () => {
  const twice = signMessage(signed.octets, key, { timeSeconds: time }).octets
  assert.throws(() => splitTsig(twice), FormatError)
  const additional = encodeMessage({
    ...decodeMessage(message),
    edns: { udpPayloadOctets: 512, dnssecOk: false, version: 0 },
  })
  const notLast = Buffer.concat([signed.octets, additional.subarray(message.length)])
  notLast.writeUInt16BE(2, 10)
  assert.throws(() => splitTsig(notLast), FormatError)
})

test('TSIG: a message without one has none', () => {
  assert.equal(splitTsig(message), null)
  assert.throws(() => splitTsig(message.subarray(0, HEADER_OCTETS - 1)), FormatError)
})

function split(hex: string): { message: Buffer; tsig: Tsig } {
  const found = splitTsig(Buffer.from(hex, 'hex'))
  assert.ok(found !== null)
  return found
}
