/**
 * Backups of a server, as they come. The stream belongs to whoever reads it, so that its time runs
 * only while a read waits, and closing the client ends it: nobody may ever read the rest.
 */

import type { ByteStream } from '../../types/client.js'
import { OmenError } from '../errors.js'
import { readCall } from '../options.js'
import { BackupRequestSchema, type BackupResponse, create } from '../wire/protocol.js'
import type { Session, Streaming } from './session.js'

/** @param options  As of other calls; read, and the call begun, at the first read. */
export function backupOf(session: Session, options: unknown): ByteStream {
  let streaming: Streaming | undefined
  let messages: AsyncGenerator<BackupResponse, undefined> | undefined
  const end = (): void => streaming?.end()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          if (messages === undefined) {
            // Also between reads: then the next one is told.
            const over = (error: unknown): void => {
              controller.error(error)
              end()
            }
            streaming = session.stream(readCall(options), over)
            const { deadline } = streaming
            messages = session.transport.stream('backup', create(BackupRequestSchema), { deadline })
          }
          for (;;) {
            const { done, value } = await messages.next()
            if (done) {
              end()
              controller.close()
              return
            }
            // Empty ones tell that the server is at work.
            if (value.data.length === 0) continue
            controller.enqueue(value.data)
            return
          }
        } catch (error) {
          end()
          throw error
        }
      },
      async cancel() {
        end()
        // A read that waits would be waited for.
        streaming?.deadline.fail(new OmenError('ERR_ABORTED', 'the stream was cancelled'))
        await messages?.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
}
