/** Service extensions, RFC 5321 §2.2: one entry a keyword, with what it adds to EHLO, MAIL and RCPT. */

import { formatDeliverBy, parseDeliverBy } from './deliver-by.ts'
import {
  formatNotify,
  formatOriginalRecipient,
  parseEnvelopeId,
  parseNotify,
  parseOriginalRecipient,
  parseRet,
} from './dsn.ts'
import { formatDateTime, formatFutureRelease, parseHoldFor, parseHoldUntil } from './future-release.ts'
import { LIMITS } from './limits.ts'
import type { Codecs, Extension } from './offer.ts'
import {
  formatAuthParameter,
  formatXptt,
  type MailParameters,
  noValue,
  parseAuthParameter,
  parseBody,
  parseSize,
  parseXptt,
  requiredValue,
} from './parameter.ts'
import { parsePriority } from './priority.ts'
import { formatServerLimits, serverLimits } from './server-limits.ts'
import { encodeXtext } from './xtext.ts'

const always = () => ''

// RFC 4954 §5; between ptt's own servers also without AUTH, under XPTT.
const AUTH_PARAMETER: Codecs<MailParameters> = {
  AUTH: {
    parse: parameter => ({ authenticatedAs: parseAuthParameter(requiredValue(parameter)) }),
    format: ({ authenticatedAs }) =>
      authenticatedAs === undefined ? undefined : formatAuthParameter(authenticatedAs),
  },
}

// RFC 4865 §3 (4); between ptt's own servers under XPTT, for FUTURERELEASE is for submission only (§4.2.2).
const HOLD_PARAMETERS: Codecs<MailParameters> = {
  HOLDFOR: {
    parse: parameter => ({ hold: parseHoldFor(requiredValue(parameter)) }),
    format: ({ hold }) => (hold !== undefined && 'forSeconds' in hold ? String(hold.forSeconds) : undefined),
  },
  HOLDUNTIL: {
    parse: parameter => ({ hold: parseHoldUntil(requiredValue(parameter)) }),
    format: ({ hold }) =>
      hold !== undefined && 'untilMs' in hold ? formatDateTime(hold.untilMs) : undefined,
  },
}
/** RFC 4865 §3 (5). */
const HOLD_OCTETS = 34

export const EXTENSIONS: readonly Extension[] = [
  // RFC 2920
  { keyword: 'PIPELINING', offer: always },
  // RFC 1870 §3
  {
    keyword: 'SIZE',
    offer: ({ limits }) => String(limits.messageOctets),
    lineOctets: 26,
    mail: {
      SIZE: {
        parse: parameter => ({ sizeOctets: parseSize(requiredValue(parameter)) }),
        format: ({ sizeOctets }) => (sizeOctets === undefined ? undefined : String(sizeOctets)),
      },
    },
  },
  // RFC 3207 §2
  { keyword: 'STARTTLS', offer: ({ tls, secure }) => (tls === 'starttls' && !secure ? '' : null) },
  // RFC 4954 §3
  {
    keyword: 'AUTH',
    offer: ({ auth, secure }) => (auth.length > 0 && secure ? auth.join(' ') : null),
    lineOctets: 500,
    mail: AUTH_PARAMETER,
  },
  // RFC 2034 §3
  { keyword: 'ENHANCEDSTATUSCODES', offer: always },
  // RFC 6152 §2
  {
    keyword: '8BITMIME',
    offer: always,
    lineOctets: 17,
    mail: {
      BODY: {
        parse: parameter => ({ body: parseBody(requiredValue(parameter)) }),
        format: ({ body }) => (body === '8BITMIME' ? body : undefined),
      },
    },
  },
  // RFC 6531 §3.1
  {
    keyword: 'SMTPUTF8',
    offer: always,
    lineOctets: 10,
    mail: {
      SMTPUTF8: {
        parse: parameter => ({ smtputf8: noValue(parameter) }),
        format: ({ smtputf8 }) => (smtputf8 === true ? null : undefined),
      },
    },
  },
  // RFC 3030 §2
  { keyword: 'CHUNKING', offer: always },
  // RFC 3461 §2
  {
    keyword: 'DSN',
    offer: ({ offers }) => (offers?.dsn === true ? '' : null),
    // SP "NOTIFY=SUCCESS,FAILURE,DELAY" SP "ORCPT=" value; RET= and ENVID= are less.
    lineOctets: 29 + 7 + LIMITS.originalRecipientOctets,
    mail: {
      RET: { parse: parameter => ({ ret: parseRet(requiredValue(parameter)) }), format: ({ ret }) => ret },
      ENVID: {
        parse: parameter => ({ envelopeId: parseEnvelopeId(requiredValue(parameter)) }),
        // An esmtp-value is never empty.
        format: ({ envelopeId = '' }) => (envelopeId === '' ? undefined : encodeXtext(envelopeId)),
      },
    },
    rcpt: {
      NOTIFY: {
        parse: parameter => ({ notify: parseNotify(requiredValue(parameter)) }),
        format: ({ notify }) => (notify === undefined ? undefined : formatNotify(notify)),
      },
      ORCPT: {
        parse: parameter => ({ originalRecipient: parseOriginalRecipient(requiredValue(parameter)) }),
        format: ({ originalRecipient }, utf8) =>
          originalRecipient === undefined ? undefined : formatOriginalRecipient(originalRecipient, utf8),
      },
    },
  },
  // RFC 8689 §2
  {
    keyword: 'REQUIRETLS',
    offer: ({ offers, secure }) => (offers?.requireTls === true && secure ? '' : null),
    lineOctets: 11,
    mail: {
      REQUIRETLS: {
        parse: parameter => ({ requireTls: noValue(parameter) }),
        format: ({ requireTls }) => (requireTls === true ? null : undefined),
      },
    },
  },
  // RFC 9422 §3
  {
    keyword: 'LIMITS',
    offer: ({ offers, limits }) =>
      offers?.limits === true ? formatServerLimits(serverLimits(limits)) || null : null,
  },
  // RFC 4865 §3
  {
    keyword: 'FUTURERELEASE',
    offer: ({ offers }) => {
      const { longestSeconds, now } = offers?.futureRelease ?? {}
      if (longestSeconds === undefined || now === undefined) return null
      return formatFutureRelease(longestSeconds, now())
    },
    lineOctets: HOLD_OCTETS,
    mail: HOLD_PARAMETERS,
  },
  // RFC 2852 §2
  {
    keyword: 'DELIVERBY',
    offer: ({ offers }) => (offers?.deliverBy === undefined ? null : String(offers.deliverBy.leastSeconds)),
    lineOctets: 17,
    mail: {
      BY: {
        parse: parameter => ({ deliverBy: parseDeliverBy(requiredValue(parameter)) }),
        format: ({ deliverBy }) => (deliverBy === undefined ? undefined : formatDeliverBy(deliverBy)),
      },
    },
  },
  // RFC 6710 §3
  {
    keyword: 'MT-PRIORITY',
    offer: ({ offers }) => (offers?.priority === undefined ? null : (offers.priority.profile ?? '')),
    lineOctets: 15,
    mail: {
      'MT-PRIORITY': {
        parse: parameter => ({ priority: parsePriority(requiredValue(parameter)) }),
        format: ({ priority }) => (priority === undefined ? undefined : String(priority)),
      },
    },
  },
  // ptt's own hop: envelope.ts
  {
    keyword: 'XPTT',
    offer: ({ hop }) => (hop ? '' : null),
    // SP "XPTT=" id "/" commit, AUTH= as RFC 4954 §3 counts it, HOLDUNTIL=.
    lineOctets: 1 + 5 + 64 + 1 + 64 + 500 + HOLD_OCTETS,
    mail: {
      XPTT: {
        parse: parameter => ({ xptt: parseXptt(requiredValue(parameter)) }),
        format: ({ xptt }) => (xptt === undefined ? undefined : formatXptt(xptt)),
      },
      ...AUTH_PARAMETER,
      ...HOLD_PARAMETERS,
    },
  },
]
