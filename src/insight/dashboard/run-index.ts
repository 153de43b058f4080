/**
 * The runs of a folder, in memory. The folder is the only truth: each refresh looks at the time stamps of
 * every run and reads again what has changed. A refresh ends after its budget of time; what is left is in the
 * list by name and read by the next one.
 */
import { statSync } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setImmediate as others } from 'node:timers/promises';
import { UsageError } from '../../experiment/errors.js';
import type { RunList } from './answers.js';
import { refuseLinksOut } from './inside.js';
import { type Entry, readEntry, unread } from './run-entry.js';

/** Files beside config.yaml whose change changes what is shown of a run. */
const RESULTS = ['metrics.jsonl', 'certification.json', 'certificate.jsonl', 'summary.md'];
/** A lock that was refreshed so long ago is abandoned. */
const STALE_LOCK = 20_000;
/** Runs that are looked at before others have their turn. */
const TOGETHER = 200;

interface Known extends Entry {
  readonly signature: string;
}

interface Seen {
  readonly name: string;
  readonly signature: string;
  readonly running: boolean;
  readonly changed: number;
}

/** Time stamps of a run; undefined for a folder that is none. */
function seen(root: string, name: string): Seen | undefined {
  // Synchronous calls take a tenth of the processor's time that asynchronous ones do.
  const at = (file: string) => {
    try {
      return statSync(join(root, name, file), { throwIfNoEntry: false });
    } catch {
      return undefined;
    }
  };
  const config = at('config.yaml');
  if (config === undefined) return undefined;
  const files = [config, ...RESULTS.map(at)];
  const lock = at('lock');
  const running = lock !== undefined && Date.now() - lock.mtimeMs < STALE_LOCK;
  const stamps = files.map((file) =>
    file ? `${file.ino}:${file.size}:${file.mtimeMs}:${file.ctimeMs}` : '-',
  );
  return {
    name,
    running,
    signature: [running, ...stamps].join(' '),
    changed: Math.max(...files.map((file) => file?.mtimeMs ?? 0)),
  };
}

/** Names of the settings that differ among runs. */
function differing(entries: readonly Entry[]): string[] {
  const texts = entries.flatMap((entry) => (entry.texts ? [entry.texts] : []));
  const [first] = texts;
  if (first === undefined) return [];
  return Object.keys(first).filter((name) => texts.some((other) => other[name] !== first[name]));
}

export class RunIndex {
  readonly folder: string;
  #known = new Map<string, Known>();
  #underWay: Promise<unknown> = Promise.resolve();

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @throws UsageError if there is no folder, or the run itself instead of a folder with runs */
  static async open(folder: string): Promise<RunIndex> {
    const root = await realpath(resolve(folder)).catch(() => undefined);
    if (root === undefined || !(await stat(root)).isDirectory())
      throw new UsageError(`${folder}: expected a folder of runs, there is none; check the path`);
    if (await stat(join(root, 'config.yaml')).catch(() => undefined))
      throw new UsageError(`${folder}: expected a folder of runs, got a run; give the folder that it is in`);
    return new RunIndex(root);
  }

  /**
   * Looks at every run and reads what has changed, for about `budget` milliseconds.
   * @returns names of the runs that are new, changed or gone
   */
  refresh(budget = Number.POSITIVE_INFINITY): Promise<string[]> {
    const refreshed = this.#underWay.then(() => this.#refresh(budget));
    this.#underWay = refreshed.catch(() => undefined);
    return refreshed;
  }

  async #refresh(budget: number): Promise<string[]> {
    const started = performance.now();
    const names = (await readdir(this.folder, { withFileTypes: true }).catch(() => []))
      .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || entry.isSymbolicLink()))
      .map(({ name }) => name);
    const found: Seen[] = [];
    for (let i = 0; i < names.length; i += TOGETHER) {
      const some = names.slice(i, i + TOGETHER).map((name) => seen(this.folder, name));
      found.push(...some.filter((one) => one !== undefined));
      await others();
    }
    const before = this.#known;
    this.#known = new Map(
      found.map((one) => [one.name, before.get(one.name) ?? { ...unread(one), signature: '' }]),
    );
    const stale = found
      .filter(({ name, signature }) => this.#known.get(name)?.signature !== signature)
      .sort((a, b) => b.changed - a.changed);
    const changed = [...before.keys()].filter((name) => !this.#known.has(name));
    for (const one of stale) {
      if (performance.now() - started > budget) break;
      this.#known.set(one.name, { ...(await this.#read(one)), signature: one.signature });
      changed.push(one.name);
    }
    return changed;
  }

  async #read(one: Seen): Promise<Entry> {
    try {
      await refuseLinksOut(this.folder, one.name);
    } catch (error) {
      return { ...unread(one), state: 'broken', problem: (error as Error).message };
    }
    return readEntry(join(this.folder, one.name), one);
  }

  /** The folder of a run that was listed; undefined for any other name. */
  pathOf(name: string): string | undefined {
    return this.#known.has(name) ? join(this.folder, name) : undefined;
  }

  entryOf(name: string): Entry | undefined {
    return this.#known.get(name);
  }

  /** Latest change first. */
  list(): RunList {
    const entries = [...this.#known.values()].sort((a, b) => b.changed - a.changed);
    const names = differing(entries);
    return {
      folder: this.folder,
      reading: entries.filter(({ state }) => state === 'reading').length,
      differing: names,
      runs: entries.map(({ texts, signature: _signature, ...card }: Known) => ({
        ...card,
        settings: texts ? Object.fromEntries(names.map((name) => [name, texts[name] ?? ''])) : {},
      })),
    };
  }
}
