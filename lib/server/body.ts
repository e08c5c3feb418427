/** The body of a request, gathered whole. */

import type { Http2ServerRequest } from 'node:http2'
import { OmenError } from '../errors.js'
import type { AnyRequest } from './exchange.js'

function tooLarge(bytesMax: number): OmenError {
  return new OmenError(
    'ERR_LIMIT',
    `this server takes messages of ${bytesMax} bytes at most; split it`,
  )
}

/** All that the caller sends. Throws ERR_LIMIT, ERR_ABORTED. */
export function bodyOf(request: AnyRequest, bytesMax: number): Promise<Buffer> {
  const source = 'stream' in request ? (request as Http2ServerRequest).stream : request
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let length = 0
    source.on('data', (piece: Buffer) => {
      length += piece.length
      if (length > bytesMax) {
        source.pause()
        reject(tooLarge(bytesMax))
      } else pieces.push(piece)
    })
    let isWhole = false
    source.once('end', () => {
      isWhole = true
      resolve(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces))
    })
    const gone = (): void => {
      if (!isWhole) reject(new OmenError('ERR_ABORTED', 'the caller has gone'))
    }
    source.once('close', gone)
    source.once('error', gone)
  })
}
