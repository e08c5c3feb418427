/** stub to be replaced below */

import type { AnyRequest, AnyResponse } from '../exchange.js'
import type { Context } from '../handlers/context.js'
import type { Log } from '../log.js'
import type { Metrics } from '../metrics.js'
export async function createRest(_c: Context, _m: Metrics, _l: Log) {
  return (_request: AnyRequest, response: AnyResponse): void => {
    response.statusCode = 404
    ;(response as import('node:http').ServerResponse).end()
  }
}
