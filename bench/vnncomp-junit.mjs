/** Results of `npm run bench:vnncomp` as cases of a JUnit report. */

/** One case for each result: a wrong verdict and an error fail, timeout and unknown are skipped. */
export const junitCases = (results) =>
  results.map(({ onnx, vnnlib, verdict, expected, wrong, seconds, reason }) => ({
    name: `${onnx} ${vnnlib}`,
    seconds,
    ...(wrong && { failure: `expected ${expected}, got ${verdict}` }),
    ...(verdict.startsWith('error') && { failure: verdict }),
    ...((verdict === 'timeout' || verdict === 'unknown') && { skipped: reason ?? verdict }),
  }));
