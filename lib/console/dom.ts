/**
 * Elements of the page. Text becomes text nodes, never markup: what a database holds is shown and
 * does nothing. The policy of the page (trusted types) holds us to it.
 */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

function fill(
  element: Element,
  attributes: Attributes,
  children: readonly (Node | string)[],
): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children)
}

export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  fill(element, attributes, children)
  return element
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  fill(element, attributes, children)
  return element
}

/** The element of this id, which index.html has. */
export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as T
}

/** A colour or length of console.css. */
export function cssValue(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** A list of terms with what they are. */
export function definitions(entries: readonly (readonly [string, string])[]): HTMLElement {
  return html(
    'dl',
    {},
    ...entries.map(([term, value]) => html('div', {}, html('dt', {}, term), html('dd', {}, value))),
  )
}
