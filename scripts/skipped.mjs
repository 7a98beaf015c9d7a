/** A reporter for `node --test`: one JSON line a skipped test, for scripts/test.mjs to count. */

export default async function* skipped(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.skip === undefined || data.skip === false) continue
    const reason = typeof data.skip === 'string' ? data.skip : ''
    yield `${JSON.stringify({ name: data.name, file: data.file, reason })}\n`
  }
}
