/** Bodies of JSON, parsed where they are neither too deep nor damaged. */

import { argumentError } from '../../options.js'
import { checkDepth } from '../depth.js'

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
