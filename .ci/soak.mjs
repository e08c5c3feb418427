// npm run test:soak [rounds]: the suites again and again under fresh seeds; stops at a failure.
//
// OMEN_SEED=random draws the seeds of the C++ tests (a failure prints the one to replay),
// OMENDB_REPEAT is how often each interruption is tried.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const cwd = fileURLToPath(new URL('..', import.meta.url))
const rounds = Number(process.argv[2] ?? 3)
const env = { ...process.env, OMEN_SEED: 'random', OMENDB_REPEAT: '20' }
for (let round = 1; round <= rounds; round += 1) {
  console.log(`round ${round} of ${rounds}`)
  for (const script of ['.ci/native.mjs', '.ci/js-tests.mjs']) {
    const args = script === '.ci/native.mjs' ? [script, 'test-points'] : [script]
    const { status } = spawnSync(process.execPath, args, { cwd, env, stdio: 'inherit' })
    if (status !== 0) process.exit(status ?? 1)
  }
}
