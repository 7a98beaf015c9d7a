/** What commands say on standard output. */

/** Waits until it is written. A reader that has seen enough (`head`) ends us quietly. */
export async function print(text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const ignore = () => {}
  process.stdout.on('error', ignore)
  process.stdout.write(text, error => (error ? reject(error) : resolve()))
  try {
    await promise
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
    process.exit()
  } finally {
    process.stdout.off('error', ignore)
  }
}
