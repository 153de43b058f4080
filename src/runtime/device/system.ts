/** Questions to the system about its devices; tests pass another one. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, freemem } from 'node:os';
import { promisify } from 'node:util';

export interface System {
  readonly platform: NodeJS.Platform;
  /** A file's text, undefined where it cannot be read. */
  read(path: string): string | undefined;
  list(path: string): readonly string[];
  /** The output of a program on the PATH, undefined where there is none or it fails. */
  output(program: string, argv: readonly string[]): Promise<string | undefined>;
  /** Bytes of the host that are free. */
  free(): number;
  processor(): string | undefined;
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

export const thisSystem: System = {
  platform: process.platform,
  read: (path) => attempt(() => readFileSync(path, 'utf8')),
  list: (path) => attempt(() => readdirSync(path)) ?? [],
  output: (program, argv) =>
    promisify(execFile)(program, [...argv], { timeout: 10_000 }).then(
      ({ stdout }) => stdout,
      () => undefined,
    ),
  free: freemem,
  processor: () => cpus()[0]?.model,
};

/** The first line that NVIDIA's tool prints of a quantity, for its first graphics processor. */
export async function nvidiaSays(quantity: string, system: System): Promise<string | undefined> {
  const printed = await system.output('nvidia-smi', [
    `--query-gpu=${quantity}`,
    '--format=csv,noheader,nounits',
  ]);
  return printed?.split('\n')[0]?.trim() || undefined;
}

/** Names of graphics cards that Linux lists: card0, … */
export const cards = (system: System): string[] =>
  system.list('/sys/class/drm').filter((name) => /^card\d+$/.test(name));
