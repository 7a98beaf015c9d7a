/**
 * A flame graph as one HTML file that needs nothing else: who was called is below who called it, as wide as it was seen.
 * A click makes a call as wide as the page, a click on the top goes back; the field finds functions by a part of their name,
 * place or room.
 */

import type { Call, Samples } from './samples.ts'

export interface Heading {
  readonly title: string
  /** What was measured, in a line. */
  readonly subtitle: string
}

/** Narrower calls, as a share of all samples, are left out: nobody could see them, also not when zoomed in. */
const LEAST_SHARE = 1 / 20_000

/** name, place, number of the room, self, total, children: what the page draws. */
type Drawn = [string, string, number, number, number, Drawn[]]

export function flameGraph({ root, count }: Samples, { title, subtitle }: Heading): string {
  const rooms: string[] = []
  const roomSelf: number[] = []
  const draw = (call: Call): Drawn => {
    let room = rooms.indexOf(call.room)
    if (room < 0) room = rooms.push(call.room) - 1
    roomSelf[room] = (roomSelf[room] ?? 0) + call.self
    const children = call.children.map(draw).filter(([, , , , total]) => total >= count * LEAST_SHARE)
    // The wide nothing is on the right.
    children.sort(([one], [other]) => Number(one === '(idle)') - Number(other === '(idle)'))
    return [call.name, call.place, room, call.self, call.total, children]
  }
  const drawn = draw(root)
  const data = { root: drawn, rooms, roomSelf, colours: rooms.map(colourOf) }
  return PAGE.replaceAll('HEADING', () => escaped(title))
    .replace('WHAT', () => escaped(subtitle))
    .replace('DATA', () => JSON.stringify(data).replaceAll('<', '\\u003c'))
}

const COLOURS: Readonly<Record<string, string>> = {
  all: '#dddddd',
  idle: '#eeeeee',
  native: '#b9b9b9',
  'garbage collector': '#e06666',
  node: '#c5d3e2',
}

const ROOMS = ['smtp', 'net', 'message', 'dkim', 'directory', 'queue', 'dns', 'observe', 'config', 'hooks']
/** Hues that follow each other this far apart are told from each other longest. */
const GOLDEN_ANGLE = 137.5

/** Each of our rooms has a hue of its own, the same in every graph; the services have one between them, and packages. */
function colourOf(room: string): string {
  const known = COLOURS[room]
  if (known !== undefined) return known
  const at = ROOMS.indexOf(room)
  if (at >= 0) return `hsl(${Math.round(100 + at * GOLDEN_ANGLE) % 360} 60% 74%)`
  return room.startsWith('npm ') ? '#d2b48c' : '#ffe08a'
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>HEADING</title>
<style>
  body { font: 13px system-ui, sans-serif; margin: 12px; color: #222 }
  h1 { font-size: 16px; margin: 0 }
  p { margin: 4px 0 }
  input { font: inherit; width: 24em }
  #legend span { display: inline-block; margin: 2px 10px 2px 0; cursor: pointer }
  #legend i { display: inline-block; width: 12px; height: 12px; margin-right: 4px; vertical-align: -1px }
  #graph { position: relative; margin-top: 8px }
  #graph div { position: absolute; height: 17px; overflow: hidden; white-space: nowrap; box-sizing: border-box;
    font: 11px/17px ui-monospace, monospace; padding-left: 3px; border: 1px solid #fff; border-width: 0 1px 1px 0; cursor: pointer }
  #graph div.faded { opacity: 0.55 }
  #graph.searched div:not(.found) { filter: grayscale(1) opacity(0.45) }
  #tip { position: fixed; bottom: 0; left: 0; right: 0; background: #222; color: #fff; padding: 4px 12px; font: 12px ui-monospace, monospace;
    min-height: 1.3em; white-space: pre }
</style>
<h1>HEADING</h1>
<p>WHAT</p>
<p><input id="search" placeholder="find: a function, a file, a room"> <span id="matched"></span></p>
<p id="legend"></p>
<div id="graph"></div>
<div id="tip"></div>
<script>
const { root, rooms, roomSelf, colours } = DATA
const NAME = 0, PLACE = 1, ROOM = 2, SELF = 3, TOTAL = 4, CHILDREN = 5
const HEIGHT = 18
const graph = document.getElementById('graph')
const tip = document.getElementById('tip')
const search = document.getElementById('search')
const percent = samples => (100 * samples / root[TOTAL]).toFixed(samples * 100 < root[TOTAL] ? 2 : 1) + ' %'
let path = [root]

function matches(call) {
  const wanted = search.value.toLowerCase()
  return wanted !== '' && [call[NAME], call[PLACE], rooms[call[ROOM]]].some(text => text.toLowerCase().includes(wanted))
}

function draw() {
  graph.textContent = ''
  const width = graph.clientWidth
  let depth = 0
  const box = (call, left, wide, level, trail) => {
    if (wide < 1.5) return
    depth = Math.max(depth, level)
    const element = document.createElement('div')
    element.style.cssText = 'left:' + left + 'px;top:' + level * HEIGHT + 'px;width:' + wide + 'px;background:' + colours[call[ROOM]]
    if (wide > 30) element.textContent = call[NAME] + (call[PLACE] && wide > 220 ? '  ' + call[PLACE] : '')
    if (trail.length < path.length) element.className = 'faded'
    if (matches(call)) element.classList.add('found')
    element.onclick = () => { path = trail; draw() }
    element.onmousemove = () => {
      tip.textContent = call[NAME] + '  ' + call[PLACE] + '   ' + rooms[call[ROOM]] + '   with what it calls ' + percent(call[TOTAL]) + ', by itself ' + percent(call[SELF])
    }
    graph.append(element)
  }
  for (let level = 0; level < path.length - 1; level++) box(path[level], 0, width, level, path.slice(0, level + 1))
  const below = (call, left, wide, level, trail) => {
    box(call, left, wide, level, trail)
    let at = left
    for (const child of call[CHILDREN]) {
      const share = wide * child[TOTAL] / call[TOTAL]
      if (share >= 1.5) below(child, at, share, level + 1, [...trail, child])
      at += share
    }
  }
  below(path[path.length - 1], 0, width, path.length - 1, path)
  graph.style.height = (depth + 2) * HEIGHT + 'px'
}

function find() {
  let found = 0
  const look = call => {
    if (matches(call)) { found += call[TOTAL]; return }
    call[CHILDREN].forEach(look)
  }
  look(root)
  graph.classList.toggle('searched', search.value !== '')
  document.getElementById('matched').textContent = search.value === '' ? '' : percent(found)
  draw()
}

const legend = document.getElementById('legend')
rooms.map((room, at) => [room, roomSelf[at], colours[at]]).filter(([, self]) => self > 0).sort((one, other) => other[1] - one[1])
  .forEach(([room, self, colour]) => {
    const entry = document.createElement('span')
    const mark = document.createElement('i')
    mark.style.background = colour
    entry.append(mark, room + ' ' + percent(self))
    entry.onclick = () => { search.value = search.value === room ? '' : room; find() }
    legend.append(entry)
  })
search.oninput = find
window.onresize = draw
draw()
</script>
</html>
`
