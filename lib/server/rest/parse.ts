/** Bodies of JSON, parsed where they are neither too deep nor damaged. */

import { OmenError } from '../../errors.js'
import { argumentError } from '../../options.js'

/** undefined where there is no body. Throws ERR_ARGUMENT, ERR_LIMIT. */
export function parseJson(body: Buffer, depthMax: number): unknown {
  if (body.length === 0) return undefined
  checkDepth(body, depthMax)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw argumentError('the body is no UTF-8')
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    // The message of JSON.parse quotes the text, which belongs in no log.
    const at = /position (\d+)/.exec((error as Error).message)?.[1]
    throw argumentError(`the body is no JSON${at === undefined ? '' : `, at character ${at}`}`)
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Before it is parsed: what is nested deep costs more than it should everywhere. */
function checkDepth(body: Buffer, depthMax: number): void {
  let depth = 0
  for (let i = 0; i < body.length; i++) {
    const byte = body[i]
    if (byte === QUOTE) {
      for (i++; i < body.length && body[i] !== QUOTE; i++) if (body[i] === BACKSLASH) i++
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > depthMax) {
        throw new OmenError('ERR_LIMIT', `the JSON is nested deeper than ${depthMax} levels`)
      }
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
}
