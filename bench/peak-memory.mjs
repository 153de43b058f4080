/** `node --import bench/peak-memory.mjs …`: says at its end what memory a process had at most. */
process.on('exit', () =>
  console.error(`peak memory ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(3)} GB`),
);
