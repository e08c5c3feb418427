// Section "planted": each mistake of durability that a test build can be told to make, and the test
// that must notice. A test that passes in spite of its bug protects nothing, and fails here.
import { spawnSync } from 'node:child_process'
import path from 'node:path'

const LIMIT_MS = 120_000

// The bug's name in OMEN_PLANTED; what it does; the executable and the test that must fail.
export const bugs = [
  ['no-sync', 'files are never synced', 'db_crash_test', 'synced_workloads'],
  ['no-directory-sync', 'names are never synced', 'db_crash_test', 'synced_workloads'],
  ['answer-before-sync', 'a write is acknowledged early', 'db_crash_test', 'every_crash_of_synced'],
  ['seal-without-sync', 'a close seals what is not synced', 'db_crash_test', 'unsynced_workloads'],
  ['watermark-too-high', 'records claim too much', 'db_crash_test', 'unsynced_workloads'],
  ['failed-sync-repeated', 'a sync is tried again', 'storage_test', 'a_failed_sync'],
  ['failed-sync-forgotten', 'and nothing is poisoned', 'storage_test', 'a_failed_sync'],
  ['failed-append-stays', 'half a commit is left', 'storage_test', 'a_failed_append'],
  ['undone-without-sync', 'undoing is not synced', 'log_crash_test', 'a_refused_append'],
  ['batch-record-by-record', 'a batch is not marked', 'db_crash_test', 'unsynced_workloads'],
  ['part-of-a-batch-is-whole', 'the mark is not read', 'db_crash_test', 'unsynced_workloads'],
  ['cut-within-the-last', 'the cut is off by 8', 'storage_test', 'every_prefix'],
  ['damage-is-a-torn-tail', 'damage is cut off', 'storage_test', 'every_flipped_bit'],
  ['no-header-checksum', 'any header is a record', 'storage_test', 'every_flipped_bit'],
  ['no-payload-checksum', 'any payload is right', 'storage_test', 'every_flipped_bit'],
  ['checksum-without-place', 'a record is valid anywhere', 'log_crash_test', 'a_record_is_valid'],
  ['no-manifest-checksum', 'any manifest is right', 'storage_test', 'manifests'],
  ['manifest-not-synced', 'renamed before it is written', 'db_crash_test', 'synced_workloads'],
  ['manifest-before-data', 'a log is named too early', 'db_crash_test', 'within_recovery'],
  ['old-log-goes-first', 'the old log goes too early', 'db_crash_test', 'within_recovery'],
  ['goes-on-after-a-crash', 'a torn log is written on', 'db_crash_test', 'unsynced_workloads'],
  ['shorter-log-is-taken', 'lost records go unseen', 'db_disk_test', 'damage_after_a_clean_close'],
  ['any-directory-is-taken', 'foreign files are no reason', 'db_disk_test', 'what_is_no_database'],
  ['no-lock', 'two writers at once', 'db_disk_test', 'a_second_writer'],
  ['interrupted-is-failed', 'EINTR is an error', 'storage_test', 'interrupted_and_short'],
  [
    'short-write-is-whole',
    'a short write is not continued',
    'storage_test',
    'interrupted_and_short',
  ],
  ['short-read-is-the-end', 'nor a short read', 'storage_test', 'interrupted_and_short'],
  ['replay-skips-deletes', 'deleted records come back', 'db_crash_test', 'synced_workloads'],
  ['replay-skips-clears', 'cleared records come back', 'db_crash_test', 'synced_workloads'],
  ['snapshot-not-synced', 'a snapshot is named too early', 'db_crash_test', 'synced_workloads'],
  ['old-files-go-first', 'the old snapshot goes too early', 'db_crash_test', 'synced_workloads'],
  ['no-vector-checksum', 'any vector is right', 'storage_segment_test', 'every_flipped_bit'],
  ['no-blob-checksum', 'any graph is right', 'storage_segment_test', 'every_flipped_bit'],
  ['no-mapped-checksum', 'any mapped vector is right', 'db_mapped_test', 'no_answer_comes'],
  ['changed-metadata-not-saved', 'a snapshot misses a change', 'db_crash_test', 'synced_workloads'],
  ['replay-skips-one-more', 'off by one behind a snapshot', 'db_crash_test', 'synced_workloads'],
  ['no-reserve', 'a full disk refuses deletions', 'db_reserve_test', 'deleting_works'],
  [
    'no-room-for-checkpoints',
    'a disk is filled up with log',
    'db_reserve_test',
    'a_disk_that_fills_up',
  ],
  ['receipt-is-a-commit', 'a receipt is logged apart', 'db_crash_test', 'unsynced_workloads'],
  ['receipts-not-saved', 'a snapshot forgets them', 'db_crash_test', 'synced_workloads'],
  ['replay-merges', 'removed keys come back', 'db_crash_test', 'synced_workloads'],
]

export const targets = [...new Set(bugs.map(([, , executable]) => executable))]

function runs({ root, executable, test, bug }) {
  const env = { ...process.env, OMENDB_PLANTED: bug ?? '' }
  const file = path.join(root, 'out/test-points', executable)
  // A bug may be noticed a thousand times.
  const options = { encoding: 'utf8', env, timeout: LIMIT_MS, maxBuffer: 1 << 28 }
  const { status, error, stdout } = spawnSync(file, [test], options)
  if (error) return { passes: false, hangs: true, stdout: `${stdout}${error}` }
  return { passes: status === 0, hangs: false, stdout }
}

export function run({ root, progress }) {
  let passed = 0
  const failures = []
  const sound = new Set()
  for (const [bug, what, executable, test] of bugs) {
    progress(`${passed + failures.length} of ${bugs.length}: ${bug}`)
    const part = `${executable} ${test}`
    if (!sound.has(part)) {
      const without = runs({ root, executable, test })
      if (!without.passes) failures.push(`${part} fails without any bug:\n${without.stdout}`)
      sound.add(part)
    }
    const { passes, hangs, stdout } = runs({ root, executable, test, bug })
    const caught = !passes && !hangs && /^not ok - /m.test(stdout)
    if (caught) passed += 1
    else failures.push(`${bug} (${what}): ${hangs ? 'hangs in' : 'not caught by'} ${part}`)
  }
  return { passed, failures, counts: `${bugs.length} bugs, ${passed} caught` }
}
