// What server-crash.test.ts runs and kills: a server on a directory, which prints its address.
//
//   node server-child.js DIRECTORY PORT
import { createServer } from 'omendb/server'

const [data, port] = process.argv.slice(2)
void createServer({ data, port: Number(port), grpcPort: false, logLevel: 'silent' }).then(
  ({ url }) => {
    process.stdout.write(`${url}\n`)
  },
)
