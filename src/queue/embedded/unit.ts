/** What stands in line: a message, or a part of one that was cut into several, as `ID` or `ID.PART`. No id has a dot. */

export function unitOf(id: string, part?: number): string {
  return part === undefined ? id : `${id}.${part}`
}

export function idOf(unit: string): string {
  const dot = unit.indexOf('.')
  return dot < 0 ? unit : unit.slice(0, dot)
}

export function partOf(unit: string): number | undefined {
  const dot = unit.indexOf('.')
  return dot < 0 ? undefined : Number(unit.slice(dot + 1))
}

/** Before all parts of the message, and after them: of all that an id may have in it, nothing is in between but its own. */
export function partsOf(id: string): { readonly first: string; readonly beyond: string } {
  return { first: `${id}.`, beyond: `${id}/` }
}
