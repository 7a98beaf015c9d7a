/**
 * Messages in the shapes that programs give them, built of a seed: every verifier is asked about each. How they are built
 * may change; the golden digest in `shapes.test.ts` shows that it did.
 */

import { Random } from '../fuzz/random.ts'
import type { Sample } from './corpus.ts'
import {
  ascii,
  base64Lines,
  DOMAINS,
  date,
  encodedWord,
  messageId,
  octets,
  paragraphs,
  quotedPrintable,
  recipient,
  words,
} from './words.ts'

interface Draft {
  /** Fields without their last CRLF, folded as they are to be. */
  readonly fields: readonly string[]
  /** `null`: no empty line either, the message is a header section alone (RFC 5322 §3.5). */
  readonly body: string | null
  readonly charset?: 'latin1'
}

type Shape = (random: Random) => Draft

const MIME = 'MIME-Version: 1.0'

/** What nearly every message has, in one of the orders in which programs write it. */
function usual(random: Random, subject = words(random, 1 + random.below(8))): string[] {
  const fields = [
    `From: ${random.pick(['Joe <joe@example.com>', 'joe@example.com', '"J. SixPack" <joe@example.com>'])}`,
    `To: ${recipient(random)}`,
    `Subject: ${subject}`,
    `Date: ${date(random)}`,
    `Message-ID: ${messageId(random, 'example.com')}`,
  ]
  return random.oneIn(2) ? fields : fields.toReversed()
}

function multipart(
  random: Random,
  kind: string,
  parts: readonly string[],
  parameters = '',
): Pick<Draft, 'fields' | 'body'> {
  const boundary = `=_${random.next().toString(36)}`
  const body = parts.map(part => `--${boundary}\r\n${part}\r\n`).join('')
  return {
    fields: [MIME, `Content-Type: multipart/${kind};${parameters}\r\n boundary="${boundary}"`],
    body: `This is a message in MIME format.\r\n\r\n${body}--${boundary}--\r\n`,
  }
}

const part = (type: string, content: string, encoding?: string): string =>
  `Content-Type: ${type}\r\n${encoding === undefined ? '' : `Content-Transfer-Encoding: ${encoding}\r\n`}\r\n${content}`

const html = (random: Random): string =>
  `<html>\r\n  <body style="margin: 0">\r\n\t<p>${words(random, 12)}</p>\r\n    <p>\t${words(random, 5)} </p>\r\n  </body>\r\n</html>\r\n`

/** The shape of a field repeated: `times` of it, each with another value. */
const several = (times: number, field: () => string): string[] => Array.from({ length: times }, field)

const SHAPES: Readonly<Record<string, Shape>> = {
  plain: random => ({ fields: usual(random), body: paragraphs(random, 3) }),
  'only From': random => ({ fields: ['From: joe@example.com'], body: words(random, 5) }),
  'header alone': random => ({ fields: usual(random), body: null }),
  'empty body': random => ({ fields: usual(random), body: '' }),
  'body of line ends': random => ({ fields: usual(random), body: '\r\n'.repeat(1 + random.below(9)) }),
  'body of white space': random => ({
    fields: usual(random),
    body: random.pick([' ', '\t', ' \r\n', '\t \r\n \r\n', '\r\n \t']),
  }),
  'no line end': random => ({
    fields: usual(random),
    body: `${words(random, 5)}${random.pick(['', ' ', '\t '])}`,
  }),
  'trailing blank lines': random => ({
    fields: usual(random),
    body: paragraphs(random, 2) + random.pick(['\r\n', '\r\n\r\n\r\n', ' \r\n', '\r\n \r\n\t\r\n']),
  }),
  'leading blank lines': random => ({
    fields: usual(random),
    body: '\r\n'.repeat(1 + random.below(4)) + paragraphs(random, 1),
  }),
  'white space in lines': random => ({
    fields: usual(random),
    body: paragraphs(random, 3).replace(/ /g, () => random.pick([' ', ' ', '  ', '\t', ' \t ', '    '])),
  }),
  'trailing white space': random => ({
    fields: usual(random),
    body: paragraphs(random, 3).replaceAll('\r\n', () => `${random.pick(['', ' ', '\t', '  \t'])}\r\n`),
  }),
  'format=flowed': random => ({
    fields: [...usual(random), MIME, 'Content-Type: text/plain; charset=us-ascii; format=flowed; delsp=yes'],
    body: `${paragraphs(random, 2).replaceAll('\r\n', ' \r\n')}-- \r\nJoe\r\n`,
  }),
  dots: random => ({
    fields: usual(random),
    body: `.\r\n..\r\n. \r\n.${words(random, 3)}\r\n${'.'.repeat(1 + random.below(70))}\r\n.\r\n`,
  }),
  'From_ and dashes': random => ({
    fields: usual(random),
    body: `From ${words(random, 4)}\r\n>From ${words(random, 2)}\r\n-- \r\n--${words(random, 1)}\r\n`,
  }),
  '8-bit latin1': random => ({
    fields: [
      ...usual(random),
      MIME,
      'Content-Type: text/plain; charset=iso-8859-1',
      'Content-Transfer-Encoding: 8bit',
    ],
    body: paragraphs(random, 2).replace(/[aeou]/g, letter => random.pick([letter, 'é', 'ü', '\xa0', 'ÿ'])),
    charset: 'latin1',
  }),
  '8-bit UTF-8': random => ({
    fields: [
      ...usual(random),
      MIME,
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: 8bit',
    ],
    body: paragraphs(random, 2).replace(/[aeou]/g, letter => random.pick([letter, 'é', '久', '🕊', '\u3000'])),
  }),
  SMTPUTF8: random => ({
    fields: [
      'From: Jörg <jörg@example.com>',
      `To: 渡辺 <渡辺@${random.pick(['例え.example', 'παράδειγμα.example'])}>`,
      `Subject: ${random.pick(['Grüße aus Köln', '乾杯', 'Привет, мир'])} ${words(random, 3)}`,
      `Date: ${date(random)}`,
      `Message-ID: <grüße.${random.next()}@example.com>`,
    ],
    body: `Viele Grüße, ${words(random, 6)}\r\n`,
  }),
  'encoded words': random => ({
    fields: [
      ...usual(random, several(3, () => encodedWord(`Grüße ${words(random, 3)}`, random)).join('\r\n ')),
      `Cc: ${encodedWord('Tomáš, Dvořák', random)} <tom@${random.pick(DOMAINS)}>`,
    ],
    body: paragraphs(random, 1),
  }),
  'tabs in the header': random => ({
    fields: usual(random, `\t${words(random, 3)}\t${words(random, 2)}\t`).map(field =>
      field.replace(': ', ':\t'),
    ),
    body: paragraphs(random, 1),
  }),
  'folded oddly': random => ({
    fields: usual(random).map(field =>
      field.replace(/ /g, () => random.pick([' ', '\r\n ', '\r\n\t', ' \r\n  ', '  \r\n\t\t', '\t'])),
    ),
    body: paragraphs(random, 1),
  }),
  'value on the next line': random => ({
    fields: [...usual(random), 'X-Report: \r\n ', 'X-Empty:\r\n\t'].map(field =>
      field.replace(': ', ':\r\n '),
    ),
    body: paragraphs(random, 1),
  }),
  'no space after the colon': random => ({
    fields: usual(random).map(field => field.replace(': ', random.pick([':', ':  ', ':\t ']))),
    body: paragraphs(random, 1),
  }),
  'names in any case': random => ({
    fields: usual(random).map(field => {
      const [name = '', ...value] = field.split(':')
      return [random.pick([name.toLowerCase(), name.toUpperCase()]), ...value].join(':')
    }),
    body: paragraphs(random, 1),
  }),
  'empty values': random => ({
    fields: [...usual(random, random.pick(['', ' ', '  '])), 'Reply-To:', 'Cc: ', 'Sender:', 'X-Empty:\t'],
    body: paragraphs(random, 1),
  }),
  'fields repeated': random => ({
    fields: [
      ...usual(random),
      ...several(2 + random.below(3), () => `To: ${recipient(random)}`),
      ...several(2, () => `Subject: ${words(random, 3)}`),
      ...several(2, () => `Cc: ${recipient(random)}`),
      'Comments: one',
      'Comments: two',
    ],
    body: paragraphs(random, 1),
  }),
  'long References': random => ({
    fields: [
      ...usual(random, `Re: ${words(random, 4)}`),
      `In-Reply-To: ${messageId(random)}`,
      `References: ${several(30 + random.below(60), () => messageId(random)).join(random.pick(['\r\n ', ' ']).repeat(1))}`,
    ].map(field => field.replace(/(.{900}\S*) /g, '$1\r\n ')),
    body: `> ${words(random, 8)}\r\n> > ${words(random, 5)}\r\n\r\n${paragraphs(random, 1)}`,
  }),
  'many recipients': random => ({
    fields: [
      ...usual(random),
      `Cc: ${several(100, () => recipient(random)).join(',\r\n\t')}`,
      'Bcc: ',
      `Reply-To: "Joe, himself" <joe@example.com>, ${recipient(random)}`,
    ],
    body: paragraphs(random, 1),
  }),
  'lines of 998': random => ({
    fields: [...usual(random), `X-Long: ${'x'.repeat(990)}`, `Keywords: ${words(random, 300).slice(0, 980)}`],
    body: `${words(random, 400).slice(0, 998)}\r\n${'x'.repeat(998)}\r\n${' '.repeat(998)}\r\n${'y '.repeat(499)}\r\n`,
  }),
  'multipart/alternative': random => {
    const { fields, body } = multipart(random, 'alternative', [
      part('text/plain; charset=utf-8', paragraphs(random, 2)),
      part('text/html; charset=utf-8', quotedPrintable(html(random)), 'quoted-printable'),
    ])
    return { fields: [...usual(random), ...fields], body }
  },
  'attachment in base64': random => {
    const { fields, body } = multipart(random, 'mixed', [
      part('text/plain', paragraphs(random, 1)),
      part(
        'application/pdf; name="rates 2025.pdf"',
        base64Lines(octets(random, 500 + random.below(20_000))),
        'base64\r\nContent-Disposition: attachment; filename="rates 2025.pdf"',
      ),
    ])
    return { fields: [...usual(random), ...fields], body }
  },
  'quoted-printable': random => ({
    fields: [
      ...usual(random),
      MIME,
      'Content-Type: text/html; charset="utf-8"',
      'Content-Transfer-Encoding: quoted-printable',
    ],
    body: quotedPrintable(`${html(random)}Grüße = ${words(random, 30)} \r\n\t\r\n`),
  }),
  'HTML with pictures': random => {
    const { fields, body } = multipart(
      random,
      'related',
      [
        part('text/html', html(random), '7bit'),
        part('image/png', base64Lines(octets(random, 900)), 'base64\r\nContent-ID: <picture@example.com>'),
      ],
      ' type="text/html";',
    )
    return { fields: [...usual(random), ...fields], body }
  },
  'from a list': random => ({
    fields: [
      ...several(3, () => `Received: from ${random.pick(DOMAINS)} by lists.example.com; ${date(random)}`),
      ...usual(random, `[rates] ${words(random, 4)}`),
      'Sender: rates-bounces@lists.example.com',
      'Precedence: list',
      'List-Id: The rates <rates.lists.example.com>',
      'List-Unsubscribe: <https://lists.example.com/u?x=1>,\r\n <mailto:rates-leave@lists.example.com>',
      'List-Unsubscribe-Post: List-Unsubscribe=One-Click',
      'List-Archive: <https://lists.example.com/rates/>',
      'List-Post: <mailto:rates@lists.example.com>',
      'List-Help: <mailto:rates-request@lists.example.com?subject=help>',
      'Errors-To: rates-bounces@lists.example.com',
    ],
    body: `${paragraphs(random, 2)}_______________________________________________\r\nrates mailing list\r\n`,
  }),
  newsletter: random => {
    const { fields, body } = multipart(random, 'alternative', [
      part('text/plain; charset=us-ascii', paragraphs(random, 1, 998)),
      part('text/html; charset=us-ascii', html(random).replaceAll('\r\n', '')),
    ])
    return {
      fields: [
        ...usual(random, encodedWord('Nur heute: 50 % auf Wörter', random)),
        ...fields,
        `Feedback-ID: ${random.next()}:rates:example`,
        'CFBL-Address: fbl@example.com; report=arf',
        'Auto-Submitted: auto-generated',
        `X-Campaign: ${words(random, 30)}`,
      ],
      body,
    }
  },
  invitation: random => {
    const calendar = [
      'BEGIN:VCALENDAR',
      'VERSION:2.0',
      'METHOD:REQUEST',
      'BEGIN:VEVENT',
      `UID:${random.next()}@example.com`,
      'DTSTART;TZID=Europe/Berlin:20251121T100000',
      `SUMMARY:${words(random, 9)}`,
      `DESCRIPTION:${words(random, 9)}\r\n \\n${words(random, 6)}`,
      'ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:suzie@shopping.example.\r\n net',
      'END:VEVENT',
      'END:VCALENDAR',
    ]
    const { fields, body } = multipart(random, 'alternative', [
      part('text/plain', paragraphs(random, 1)),
      part('text/calendar; charset=utf-8; method=REQUEST', `${calendar.join('\r\n')}\r\n`, '7bit'),
    ])
    return {
      fields: [...usual(random, `Invitation: ${words(random, 3)}`), ...fields, 'Content-Language: en'],
      body,
    }
  },
  'delivery status notification': random => {
    const status = `Reporting-MTA: dns; relay.example.com\r\n\r\nFinal-Recipient: rfc822; tom@${random.pick(DOMAINS)}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 ${words(random, 4)}\r\n`
    const { fields, body } = multipart(
      random,
      'report',
      [
        part('text/plain', paragraphs(random, 1)),
        part('message/delivery-status', status),
        part('text/rfc822-headers', `${usual(random).join('\r\n')}\r\n`),
      ],
      ' report-type=delivery-status;',
    )
    const subject = 'Undeliverable'
    return { fields: [...usual(random, subject), ...fields, 'Auto-Submitted: auto-replied'], body }
  },
  'S/MIME': random => {
    const { fields, body } = multipart(
      random,
      'signed',
      [
        part('text/plain; charset=us-ascii', paragraphs(random, 1)),
        part('application/pkcs7-signature; name=smime.p7s', base64Lines(octets(random, 2000)), 'base64'),
      ],
      ' protocol="application/pkcs7-signature"; micalg=sha-256;',
    )
    return { fields: [...usual(random), ...fields], body }
  },
  'OpenPGP in the text': random => ({
    fields: usual(random),
    body: `-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n- -- \r\n${paragraphs(random, 1)}-----BEGIN PGP SIGNATURE-----\r\n\r\n${base64Lines(octets(random, 90))}=${random.next().toString(36).slice(0, 4)}\r\n-----END PGP SIGNATURE-----\r\n`,
  }),
  forwarded: random => ({
    fields: [
      'Return-Path: <x@example.org>',
      `Received: from x by y; ${date(random)}`,
      `Resent-From: ${ascii('Second, Hand', random)} <second@example.com>`.replace(
        'Second, Hand',
        '"Second, Hand"',
      ),
      `Resent-To: ${recipient(random)}`,
      `Resent-Date: ${date(random)}`,
      `Resent-Message-ID: ${messageId(random, 'example.com')}`,
      'DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=other.example; s=old;\r\n h=From:To; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA',
      'Authentication-Results: mx.example.org; dkim=none',
      ...usual(random, `Fwd: ${words(random, 3)}`),
    ],
    body: paragraphs(random, 1),
  }),
  'message in a message': random => {
    const inner = `${usual(random).join('\r\n')}\r\n\r\n${paragraphs(random, 1)}`
    const { fields, body } = multipart(random, 'mixed', [part('message/rfc822', inner)])
    return { fields: [...usual(random), ...fields], body }
  },
  'a robot': random => ({
    fields: [
      ...usual(random, `[db${random.below(99)}] disk full`),
      'X-Priority: 1 (Highest)',
      'Importance: high',
      `X-Mailer: cron ${random.below(9)}.${random.below(99)}`,
      'X-Spam: =3D; a=b; h=From; bh=; b=',
      'Auto-Submitted: auto-generated; owner-email="root@example.com"',
    ],
    body: several(40, () => `${date(random)}\tdb${random.below(9)}\t${random.below(100)}%   /var \r\n`).join(
      '',
    ),
  }),
}

/** So many of each shape. */
const VARIANTS = 5

export const shapes: readonly Sample[] = Object.entries(SHAPES).flatMap(([name, shape], index) =>
  Array.from({ length: VARIANTS }, (_, variant) => {
    const { fields, body, charset = 'utf8' } = shape(new Random(index * 1000 + variant))
    const text = `${fields.join('\r\n')}\r\n${body === null ? '' : `\r\n${body}`}`
    return { name: `${name} ${variant + 1}`, octets: Buffer.from(text, charset) }
  }),
)
