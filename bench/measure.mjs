/** Timing helpers: medians over runs in one process, so that ratios hold where absolute times drift. */

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Median milliseconds of an asynchronous function, after two runs that are not counted. */
export async function medianTime(run, runs) {
  await run();
  await run();
  const times = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return median(times);
}
