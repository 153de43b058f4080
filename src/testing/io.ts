/** A terminal for tests: what is written is kept. */
import { PassThrough } from 'node:stream';
import type { Io, Output } from '../cli/command.js';

/** A stream and the text written to it so far. */
export function recordedOutput(terminal: { isTTY?: boolean; columns?: number } = {}): {
  output: Output;
  text: () => string;
} {
  const stream = new PassThrough();
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  return { output: Object.assign(stream, terminal), text: () => chunks.join('') };
}

export function recordedIo(environment: Record<string, string> = {}): {
  io: Io;
  stdout: () => string;
  stderr: () => string;
} {
  const [stdout, stderr] = [recordedOutput(), recordedOutput()];
  const io = {
    stdout: stdout.output,
    stderr: stderr.output,
    environment,
    signal: new AbortController().signal,
  };
  return { io, stdout: stdout.text, stderr: stderr.text };
}
