// npm run test:soak [rounds]: the suites again and again under fresh seeds; stops at a failure.
//
// Each round draws a seed, prints it, and gives it to both suites as OMEN_SEED, which replays it.
// OMENDB_REPEAT is how often each interruption is tried (20).
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'

const cwd = fileURLToPath(new URL('..', import.meta.url))
const rounds = Number(process.argv[2] ?? 3)
const suites = [
  ['.ci/native.mjs', 'test-points'],
  ['.ci/js-tests.mjs', `--test-timeout=${3600_000}`],
]
for (let round = 1; round <= rounds; round += 1) {
  const seed = randomInt(2 ** 31)
  console.log(`round ${round} of ${rounds}: OMEN_SEED=${seed}`)
  const env = { OMENDB_REPEAT: '20', ...process.env, OMEN_SEED: String(seed) }
  for (const args of suites) {
    const { status } = spawnSync(process.execPath, args, { cwd, env, stdio: 'inherit' })
    if (status !== 0) {
      console.log(`failed in round ${round}; OMEN_SEED=${seed} replays it`)
      process.exit(status ?? 1)
    }
  }
}
