/**
 * The table of commands: names, arguments, help. The parser, the help texts and the test of
 * docs/cli.md read it; main.ts runs what it says. Modules of a command load when it runs.
 */

import type { Command, Option, Program } from './arguments.js'
import { FORMATS } from './formats/format.js'

const COLLECTION: Option = {
  name: 'collection',
  short: 'c',
  value: 'NAME',
  help: 'the collection; default: default',
}
const FORMAT: Option = {
  name: 'format',
  short: 'f',
  value: 'FORMAT',
  help: `${FORMATS.join(', ')}; default: by the name of the file`,
}
const DELIMITER: Option = {
  name: 'delimiter',
  value: 'C',
  help: 'of csv: one character, or tab; default: a comma, and a tab for .tsv',
}
const QUIET: Option = { name: 'quiet', short: 'q', help: 'no progress and no summary' }
const METRIC: Option = {
  name: 'metric',
  value: 'NAME',
  help: 'cosine, l2 or dot',
}
const QUANTIZATION: Option = {
  name: 'quantization',
  value: 'NAME',
  help: 'sq8, binary or none; default: sq8',
}

const IMPORT: Command = {
  name: 'import',
  positionals: 'FILE...',
  takes: [1, 10_000],
  summary: 'brings files of vectors into a database',
  description: [
    'Stores the rows of each FILE in a collection of the database in the directory --to, which ' +
      'is made if need be. - reads standard input (all formats but parquet), with --format.',
    'An import that was interrupted, in whatever way, goes on when the same command is run ' +
      'again: no row is stored twice. A file that was imported whole is not imported again; one ' +
      'that was edited since is told, and with --upsert imported anew.',
    'Tables (jsonl, csv, parquet, arrow): the id is the column id, or else the number of the ' +
      'row; the vector is the column vector or embedding, or else the only one with lists of ' +
      'numbers; the metadata is the column metadata, an object, or else all other columns.',
  ],
  options: [
    { name: 'to', short: 't', value: 'PATH', help: 'the directory of the database' },
    COLLECTION,
    FORMAT,
    {
      name: 'id',
      value: 'COLUMN',
      help: 'the column of ids; none: row numbers, behind the ids that are there',
    },
    {
      name: 'vector',
      value: 'COLUMN',
      help: 'the column of vectors; a,b,c or v*: a column for each dimension',
    },
    { name: 'metadata', value: 'COLUMNS', help: 'columns to keep: a,b,c, or all, or none' },
    DELIMITER,
    { ...METRIC, help: 'of a new collection: cosine, l2 or dot; default: cosine' },
    { ...QUANTIZATION, help: 'of a new collection: sq8, binary or none; default: sq8' },
    {
      name: 'dimensions',
      value: 'N',
      help: 'of a new collection; default: those of the first vector',
    },
    { name: 'schema', value: 'JSON', help: 'of a new collection: types of metadata fields' },
    { name: 'upsert', help: 'replace records that exist, instead of ending with ERR_EXISTS' },
    { name: 'skip', value: 'N', help: 'pass over the first N rows of each file' },
    { name: 'limit', value: 'N', help: 'take at most N rows of each file' },
    { name: 'batch', value: 'ROWS', help: 'rows stored at a time; default: what suits' },
    { name: 'restart', help: 'forget that rows of these files were imported before' },
    QUIET,
  ],
  examples: [
    'omendb import sift_base.fvecs --to sift.omendb --metric l2',
    'omendb import films.csv --to films.omendb -c films --id imdb --vector e* ' +
      '--metadata title,year',
    'zcat notes.jsonl.gz | omendb import - --format jsonl --to notes.omendb --upsert',
  ],
  run: async (call) => (await import('./import/command.js')).importFiles(call),
}

const EXPORT: Command = {
  name: 'export',
  positionals: 'PATH',
  takes: [1, 1],
  summary: 'writes a collection into a file',
  description: [
    'Writes all records of a collection of the database in PATH into a file that import reads ' +
      'back as it was. The file appears when it is whole. The database may be in use meanwhile: ' +
      'what was stored when the export began is exported.',
    'fvecs, bvecs and npy hold vectors alone: they need ids 0, 1, 2 ... and no ' +
      'metadata, or --drop.',
  ],
  options: [
    {
      name: 'out',
      short: 'o',
      value: 'FILE',
      help: 'the file; - is standard output, with --format',
    },
    COLLECTION,
    FORMAT,
    { name: 'drop', value: 'WHAT', help: 'leave out ids, metadata or ids,metadata' },
    DELIMITER,
    QUIET,
  ],
  examples: [
    'omendb export films.omendb -c films --out films.parquet',
    'omendb export films.omendb -c films --out - --format jsonl | head -n 3',
  ],
  run: async (call) => (await import('./export.js')).exportCollection(call),
}

const SEARCH: Command = {
  name: 'search',
  positionals: 'PATH',
  takes: [1, 1],
  summary: 'finds the nearest records',
  description: [
    'Finds the records of a collection that are nearest to a stored one (which is no hit ' +
      'itself), to a vector, or to each vector of a file, nearest first. With --json: ' +
      'a line for each query.',
  ],
  options: [
    { name: 'id', value: 'ID', help: 'near this record; \'"5"\' is the text 5, and 5 the integer' },
    { name: 'vector', value: 'JSON', help: 'near this vector: "[0.1, 0.2]"' },
    { name: 'vectors', value: 'FILE', help: 'near each vector of a file; - is standard input' },
    FORMAT,
    COLLECTION,
    { name: 'k', short: 'k', value: 'N', help: 'hits wanted; default: 10' },
    { name: 'ef', value: 'N', help: 'candidates kept while searching; default: 64, or k' },
    { name: 'filter', value: 'JSON', help: 'keep only what matches: \'{"year":{"$gte":1999}}\'' },
    { name: 'exact', help: 'compare with every record' },
    {
      name: 'include',
      value: 'WHAT',
      help: 'what hits bring: metadata, vector, metadata,vector or none; default: metadata',
    },
  ],
  examples: [
    'omendb search films.omendb -c films --id alien -k 5',
    "omendb search films.omendb -c films --vector '[0.1, 0.2, 0.3]' --filter '{\"year\":1979}'",
  ],
  run: async (call) => (await import('./search.js')).search(call),
}

const STATS: Command = {
  name: 'stats',
  positionals: 'PATH',
  takes: [1, 1],
  summary: 'tells what a database holds',
  description: [
    'Lists the collections of the database in PATH: records, options, bytes in memory. It may be ' +
      'in use meanwhile.',
  ],
  options: [],
  examples: ['omendb stats films.omendb'],
  run: async (call) => (await import('./stats.js')).stats(call),
}

const CHECK: Command = {
  name: 'check',
  positionals: 'PATH',
  takes: [1, 1],
  summary: 'verifies a database, or rescues what is readable of a damaged one',
  description: [
    'Verifies the database in the directory PATH, without writing to it: every file, every ' +
      'record, the graph. It may be in use meanwhile.',
    'With --salvage: brings what is readable of PATH, however damaged, into a new database in ' +
      'OUT, a directory that is empty or does not exist. Close the database in PATH first; it is ' +
      'left as it is.',
    'Exit code: 0 all is well; 1 damage was found, or something was lost; 2 PATH is no database, ' +
      'OUT is not empty, or the call is wrong.',
  ],
  options: [{ name: 'salvage', value: 'OUT', help: 'rescue into OUT' }],
  examples: ['omendb check films.omendb', 'omendb check films.omendb --salvage rescued.omendb'],
  run: async (call) => (await import('./check.js')).check(call),
}

const BENCH: Command = {
  name: 'bench',
  positionals: '[FILE]',
  takes: [0, 1],
  summary: 'measures speed and recall on this machine',
  description: [
    'Builds a database in memory of the vectors in FILE, or of seeded clusters, and measures: ' +
      'vectors stored a second, recall against the exact answer, queries a second and their ' +
      'times, bytes a vector. Of FILE some rows are kept apart as queries.',
  ],
  options: [
    { name: 'rows', value: 'N', help: 'rows at most; default: 200000 of a file, 50000 synthetic' },
    { name: 'queries', value: 'N', help: 'default: 500' },
    { name: 'k', short: 'k', value: 'N', help: 'hits wanted; default: 10' },
    { name: 'ef', value: 'LIST', help: 'default: 16,32,64,128,256' },
    { ...METRIC, help: 'cosine, l2 or dot; default: l2' },
    QUANTIZATION,
    FORMAT,
    { name: 'vector', value: 'COLUMN', help: 'as in import' },
    { name: 'dimensions', value: 'N', help: 'of synthetic vectors; default: 128' },
    { name: 'seed', value: 'N', help: 'of synthetic vectors; default: 1' },
    QUIET,
  ],
  examples: ['omendb bench', 'omendb bench sift_base.fvecs --rows 100000'],
  run: async (call) => (await import('./bench/command.js')).bench(call),
}

/** In the order of the help text. A command is added here, and documented in docs/cli.md. */
export const COMMANDS: readonly Command[] = [IMPORT, EXPORT, SEARCH, STATS, CHECK, BENCH]

/** What reads its arguments itself. */
export const PROGRAMS: readonly Program[] = [
  {
    name: 'serve',
    positionals: '[options]',
    summary: 'serves a database over REST and gRPC, as omendb-server does',
    run: async (args) => (await import('../server/core.js')).runCommand(args),
  },
]
