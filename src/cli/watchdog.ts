/**
 * The clock of a command with a time limit: the command runs in a child process, which is ended where it does
 * not answer in time.
 *
 * A thread inside ONNX Runtime cannot be ended, and a process waits for its threads; only another process can
 * end them at once. This one knows no command: the child says by when it will answer and what is to be left
 * behind if it does not (`watched.ts`).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomic } from '../formats/atomic-file.js';
import { type Message, type Outcome, type Outcomes, SIGNALS, WATCHED } from './watched.js';

/** Milliseconds after the promised time in which the child still answers by itself. */
const GRACE = 350;
const LONGEST_TIMER = 2 ** 31 - 1;
/** Milliseconds for the child to end once it is done, or told to end at once. */
const ENDING = 300;

/** Whether a command line has a time limit that is worth a watchdog. */
export function isTimed(argv: readonly string[]): boolean {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const words = argv.slice(0, end);
  return (
    words.find((word) => !word.startsWith('-')) === 'verify' &&
    words.some((word) => /^--timeout(-per-image)?(=|$)/.test(word))
  );
}

/** How the child ended: a code, or the signal that this process has to end by as well. */
type Ending = { readonly code: number } | { readonly signal: NodeJS.Signals };

class Watch {
  readonly #child: ChildProcess;
  #outcomes: Outcomes | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Signals received. */
  #signals: NodeJS.Signals[] = [];
  #code: number | undefined;
  #isLate = false;

  constructor(program: string, argv: readonly string[]) {
    const env = { ...process.env, [WATCHED]: `${performance.timeOrigin}` };
    this.#child = fork(program, argv, { env, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message: Message) => this.#hear(message));
    for (const name of SIGNALS) process.on(name, () => this.#pass(name));
  }

  async ending(): Promise<Ending> {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('exit', (...ended) => resolve(ended));
    });
    clearTimeout(this.#timer);
    if (this.#code !== undefined) return { code: this.#code };
    if (this.#isLate) return { code: await leave(this.#outcomes?.late as Outcome) };
    if (code !== null) return { code };
    const last = this.#signals.at(-1);
    if (last !== undefined) return { signal: last };
    process.stderr.write(`tautnet: the process was ended by ${signal}; its memory may not have sufficed\n`);
    return this.#outcomes ? { code: await leave(this.#outcomes.ended) } : { signal: signal ?? 'SIGKILL' };
  }

  #hear(message: Message): void {
    if (message.kind === 'promise') {
      this.#outcomes = message.outcomes;
      const left = message.milliseconds + GRACE - performance.now();
      this.#timer = setTimeout(
        () => {
          this.#isLate = true;
          this.#end();
        },
        Math.min(Math.max(0, left), LONGEST_TIMER),
      );
    } else {
      clearTimeout(this.#timer);
      if (message.kind === 'done') this.#finish(message.code);
    }
  }

  #finish(code: number): void {
    this.#code = code;
    void sleep(ENDING, undefined, { ref: false }).then(() => this.#end());
  }

  #pass(name: NodeJS.Signals): void {
    this.#signals.push(name);
    if (this.#child.connected) this.#child.send(name, () => undefined);
    if (this.#signals.length > 1) void sleep(ENDING, undefined, { ref: false }).then(() => this.#end());
  }

  #end(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Leaves an outcome where somebody looks for it. @returns its exit code */
async function leave({ code, stdout, files }: Outcome): Promise<number> {
  for (const [file, text] of Object.entries(files)) await writeFileAtomic(file, text).catch(() => undefined);
  process.stdout.on('error', () => undefined);
  await new Promise((resolve) => process.stdout.write(stdout, resolve));
  return code;
}

/** Runs a program under the watchdog and ends as it does. */
export async function watch(program: string, argv: readonly string[]): Promise<void> {
  const ending = await new Watch(program, argv).ending();
  for (const name of SIGNALS) process.removeAllListeners(name);
  if ('code' in ending) process.exitCode = ending.code;
  else process.kill(process.pid, ending.signal);
}
