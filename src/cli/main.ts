#!/usr/bin/env node
/**
 * The executable. ONNX Runtime reads its telemetry switch when it is loaded, hence the assignment before any
 * import that could load it; and imports are hoisted, hence the dynamic ones.
 */
process.env.ORT_DISABLE_TELEMETRY = '1';

const [{ run }, { COMMANDS }, { tolerateBrokenPipes }, { interruption }] = await Promise.all([
  import('./program.js'),
  import('./commands.js'),
  import('./broken-pipe.js'),
  import('./interruption.js'),
]);

tolerateBrokenPipes(process.stdout, process.stderr);
const io = {
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  signal: interruption(process, (code) => process.exit(code)),
};
// Where files may not grow beyond a limit (`ulimit -f`), writing fails with an error that says so instead of
// ending the program.
if (process.platform !== 'win32') process.on('SIGXFSZ', () => undefined);
process.exitCode = await run(process.argv.slice(2), COMMANDS, io);
