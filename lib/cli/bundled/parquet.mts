/** What is used of the Parquet libraries: .ci/bundle-cli.mjs makes one file of it. */

export { parquetMetadataAsync, parquetScan, parquetSchema, snappyUncompress } from 'hyparquet'
export { decompressLz4, decompressLz4Raw, decompressZstd } from 'hyparquet-compressors'
export { ByteWriter, ParquetWriter } from 'hyparquet-writer'
export { writePageHeader } from 'hyparquet-writer/src/datapage.js'
