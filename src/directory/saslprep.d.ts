/** SASLprep, RFC 4013: the package carries no types. Throws when the text may not be prepared. */
declare module 'saslprep' {
  function saslprep(text: string, options?: { readonly allowUnassigned?: boolean }): string
  export default saslprep
}
