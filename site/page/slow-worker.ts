/**
 * The worker for what takes long: on the graphics processor where the browser has one that computes as the
 * processor does, else on the processor, which also takes over whatever the other cannot do.
 */
import type { Question } from '../../src/insight/page/questions.js';
import type { Start } from './worker.js';
import { type AskOptions, type OpenQuestion, PageWorker, unpacked } from './workers.js';

/** Files for the graphics processor, which are fetched where there is one; named by the build. */
declare const GPU_FILES: { readonly worker: string; readonly engine: string };

/** As far as it is needed here. */
interface Gpu {
  requestAdapter(): Promise<{ readonly info: { readonly isFallbackAdapter?: boolean } } | null>;
}

/** What the address asks for: a device by its name, software adapters included, or nothing. */
const asked = (): string | null => new URLSearchParams(location.search).get('device');

/** Whether to fetch the files: not for a processor in software, nor where somebody saves data. */
async function isWorthIt(): Promise<boolean> {
  const { gpu, connection } = navigator as { gpu?: Gpu; connection?: { readonly saveData?: boolean } };
  if (gpu === undefined || asked() === 'cpu') return false;
  const adapter = await gpu.requestAdapter();
  if (adapter === null) return false;
  return asked() === 'webgpu' || (adapter.info.isFallbackAdapter !== true && connection?.saveData !== true);
}

/** @throws Error where the device does not compute what the processor does */
async function graphicsWorker(start: Start): Promise<PageWorker> {
  const engine = await unpacked(GPU_FILES.engine);
  const worker = new PageWorker({ ...start, engine, device: 'webgpu' }, GPU_FILES.worker);
  try {
    await worker.ask({ kind: 'self-test' });
    return worker;
  } catch (error) {
    worker.close();
    throw error;
  }
}

export class SlowWorker {
  readonly #start: Start;
  readonly #cpu: PageWorker;
  #graphics: PageWorker | undefined;
  #network: OpenQuestion | undefined;
  #left: () => void = () => undefined;

  constructor(start: Start) {
    this.#start = start;
    this.#cpu = new PageWorker(start);
  }

  async open(network: OpenQuestion): Promise<void> {
    this.#network = network;
    await this.#cpu.ask(network);
    await this.#graphics?.ask(network).catch(() => this.#leave());
  }

  async ask<Answer>(question: Question, options: AskOptions = {}): Promise<Answer> {
    const graphics = this.#graphics;
    if (graphics === undefined) return this.#cpu.ask(question, options);
    try {
      return await graphics.ask<Answer>(question, options);
    } catch {
      // Whatever it was: the processor says it again, or does better.
      this.#leave();
      return this.#cpu.ask(question, options);
    }
  }

  /**
   * Takes the graphics processor from now on, if there is one. `left` is called if it turns out later that it
   * cannot go on.
   * @returns whether it is taken
   */
  async takeGraphics(left: () => void): Promise<boolean> {
    if (!(await isWorthIt())) return false;
    const graphics = await graphicsWorker(this.#start);
    // A network that is opened meanwhile follows.
    for (let opened = this.#network; opened !== undefined; ) {
      await graphics.ask(opened);
      opened = opened === this.#network ? undefined : this.#network;
    }
    this.#graphics = graphics;
    this.#left = left;
    return true;
  }

  #leave(): void {
    this.#graphics?.close();
    this.#graphics = undefined;
    this.#left();
  }
}
