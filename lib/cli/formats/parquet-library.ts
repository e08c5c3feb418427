/** The Parquet libraries, loaded by those who need them. */

export const loadParquet = () => import('../bundled/parquet.mjs')
export type ParquetLibrary = Awaited<ReturnType<typeof loadParquet>>
