#!/usr/bin/env node
/**
 * The executable. ONNX Runtime reads its telemetry switch when it is loaded, hence the assignment before any
 * import that could load it; and imports are hoisted, hence the dynamic ones.
 */
import { writeSync } from 'node:fs';

process.env.ORT_DISABLE_TELEMETRY = '1';

const [{ run }, { COMMANDS }, { tolerateBrokenPipes }, { interruption }] = await Promise.all([
  import('./program.js'),
  import('./commands.js'),
  import('./broken-pipe.js'),
  import('./interruption.js'),
]);

// Code 1 of `verify` is its answer `sat`: what ends it unexpectedly, such as a full disk under stdout, has
// another.
process.on('uncaughtException', (error) => {
  const line = `tautnet: ${error.message.split('\n')[0]}\n`;
  try {
    writeSync(2, process.env.TAUTNET_DEBUG === '1' ? `${error.stack}\n` : line);
  } finally {
    process.exit(process.argv.slice(2).find((word) => !word.startsWith('-')) === 'verify' ? 5 : 1);
  }
});

/**
 * Ends at once, as the signal does by itself: `process.exit` would wait for a file operation, such as opening
 * a pipe, and abort where a worker thread is in ONNX Runtime. Whoever tidies up at the exit does so before.
 */
function end(code: number, name: NodeJS.Signals): void {
  if (process.platform === 'win32') process.exit(code);
  try {
    process.emit('exit', code);
  } finally {
    process.removeAllListeners(name);
    process.kill(process.pid, name);
  }
}

tolerateBrokenPipes(process.stdout, process.stderr);
const io = {
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  signal: interruption(process, end),
};
// Where files may not grow beyond a limit (`ulimit -f`), writing fails with an error that says so instead of
// ending the program.
if (process.platform !== 'win32') process.on('SIGXFSZ', () => undefined);
process.exitCode = await run(process.argv.slice(2), COMMANDS, io);
