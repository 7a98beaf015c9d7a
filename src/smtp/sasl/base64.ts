/** base64 as SASL in SMTP carries it, and as SCRAM has it inside: exact, or it is none. */

// base64 = base64-terminal / ( 1*(4base64-char) [base64-terminal] ), RFC 4954 §8: nothing else, and it is not ignored.
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** `null` when it is not base64. */
export function decodeBase64(text: string): Uint8Array | null {
  return BASE64.test(text) ? Buffer.from(text, 'base64') : null
}

export const encodeBase64 = (octets: Uint8Array): string => Buffer.from(octets).toString('base64')
