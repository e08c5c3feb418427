/** The worker beside the page: principal components, so that the page never stands still. */

import { principalComponents } from './pca.js'

addEventListener(
  'message',
  ({ data }: MessageEvent<{ vectors: Float32Array; dimensions: number }>) => {
    postMessage(principalComponents(data.vectors, data.dimensions))
  },
)
