#!/usr/bin/env node
/**
 * The executable. A command with a time limit runs in a process of its own, which a watchdog ends.
 *
 * ONNX Runtime reads its telemetry switch when it is loaded, hence the assignment before any import that
 * could load it; and imports are hoisted, hence the dynamic ones.
 */
import type { EventEmitter } from 'node:events';
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.env.ORT_DISABLE_TELEMETRY = '1';

const [{ isTimed, watch }, { watchedProcess }] = await Promise.all([
  import('./watchdog.js'),
  import('./watched.js'),
]);
const argv = process.argv.slice(2);
const watched = watchedProcess(() => end(130, 'SIGKILL'));
if (watched === undefined && isTimed(argv)) await watch(fileURLToPath(import.meta.url), argv);
else await main();

async function main(): Promise<void> {
  process.on('uncaughtException', fail);
  const [{ run }, { COMMANDS }, { tolerateBrokenPipes }, { interruption }] = await Promise.all([
    import('./program.js'),
    import('./commands.js'),
    import('./broken-pipe.js'),
    import('./interruption.js'),
  ]);
  tolerateBrokenPipes(process.stdout, process.stderr);
  const signals: EventEmitter = watched?.signals ?? process;
  const io = {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    signal: interruption(signals, end),
    ...(watched && { watchdog: watched.watchdog }),
  };
  // Where files may not grow beyond a limit (`ulimit -f`), writing fails with an error that says so instead
  // of ending the program.
  if (process.platform !== 'win32') process.on('SIGXFSZ', () => undefined);
  const code = await run(argv, COMMANDS, io);
  process.exitCode = code;
  watched?.done(code);
}

/**
 * Says what ended the program unexpectedly, such as a full disk under stdout. Code 1 of `verify` is its
 * answer `sat`: this has another.
 */
function fail(error: Error): never {
  const line = `tautnet: ${error.message.split('\n')[0]}\n`;
  try {
    writeSync(2, process.env.TAUTNET_DEBUG === '1' ? `${error.stack}\n` : line);
  } finally {
    process.exit(argv.find((word) => !word.startsWith('-')) === 'verify' ? 5 : 1);
  }
}

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
