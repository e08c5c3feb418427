// The other side of child.mjs: loads the job's module, runs it, sends one answer and ends.

process.once('message', async ({ url, job }) => {
  let answer
  try {
    const { run } = await import(url)
    answer = { result: await run(job) }
  } catch (error) {
    answer = { error: `${url}: ${error?.stack ?? error}` }
  }
  process.send(answer, () => process.exit(0))
})
