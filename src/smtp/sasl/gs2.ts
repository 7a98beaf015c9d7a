/** The GS2 header (RFC 5801 §4) with which SCRAM's and OAuth's first message begins, as RFC 5802 §7 has it. */

import { malformed } from './text.ts'

export interface Gs2Header {
  /** `n`: the client has no channel binding; `y`: it has, and believes that the server has not; `p`: it uses `bindingType`. */
  readonly flag: 'n' | 'y' | 'p'
  readonly bindingType: string
  /** Empty: none. */
  readonly authorizationIdentity: string
  /** The header as it came, with its last comma. */
  readonly text: string
}

// gs2-header = gs2-cbind-flag "," [ authzid ] ","; gs2-cbind-flag = ("p=" cb-name) / "n" / "y"; authzid = "a=" saslname;
// cb-name = 1*(ALPHA / DIGIT / "." / "-"). The SMTP example of RFC 7628 §4.4 writes "user=" for "a="; GNU SASL writes "a="
// alone, and "an empty string is equivalent to an absent authorization identity" (RFC 4422 §3.4.1).
const HEADER = /^(?:([ny])|p=([A-Za-z0-9.-]+)),(?:(?:a|user)=([^,\0]*))?,/

/** Of a whole first message; what follows begins at `text.length`. @throws SmtpError 501 5.5.2 */
export function parseGs2Header(message: string): Gs2Header {
  const [text, flag, bindingType = '', authzid = ''] = HEADER.exec(message) ?? []
  if (text === undefined) throw malformed('GS2 header')
  return {
    flag: flag === 'n' || flag === 'y' ? flag : 'p',
    bindingType,
    authorizationIdentity: authzid === '' ? '' : parseSaslName(authzid),
    text,
  }
}

// saslname = 1*(value-safe-char / "=2C" / "=3D"), RFC 5802 §7; §5.1: any other "=" fails the authentication.
/** @throws SmtpError 501 5.5.2 */
export function parseSaslName(text: string): string {
  if (!/^(?:[^\0=,]|=2C|=3D)+$/.test(text)) throw malformed('name')
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

export function formatSaslName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C')
}
