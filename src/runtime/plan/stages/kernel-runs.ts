/**
 * Runs of layers in the stages of a plan: which of them the interval and margin kernels do, what programs and
 * other runs see of them, and the order in which they can be computed.
 */
import { input, inputName, isInput } from '../../../graph/operators/leaves.js';
import { substitute } from '../../../graph/substitute.js';
import type { FloatType, Tensor } from '../../../graph/tensor.js';
import { type EncodedLayers, encodeLayers, type KernelLayer } from '../../kernels/layer-chain.js';
import {
  type LayerRun,
  LEAST_WORK,
  type MarginRun,
  momentWeights,
  type RunLayer,
  type RunPlace,
  runPlaces,
  type Worth,
  workOf,
} from '../layer-runs.js';
import { type KernelMarginsData, MarginUse } from './margin-steps.js';
import type { RowKernelStage } from './row-kernel.js';
import type { WholeStage } from './whole.js';

/** What one call of the kernel does, as plain data. */
export interface KernelRunData {
  readonly kind: 'layers';
  readonly chain: EncodedLayers;
  readonly dtype: FloatType;
  /** Names of the kernel's arrays, by position. */
  readonly arrays: readonly string[];
  /** Those that the kernel fills in. */
  readonly seen: readonly string[];
}

/** Runs of layers that need nothing of one another. */
export interface KernelLevel {
  /** What they read and is no input of the graph, by name: computed before. */
  readonly prepared: Readonly<Record<string, Tensor>>;
  readonly runs: readonly (KernelRunData | KernelMarginsData)[];
}

/**
 * What programs see goes through memory, to them and back as cotangents, which costs about as much as so many
 * multiplications; below a few million of them calls cost as much as they save.
 */
export const isWorth: Worth = (multiplications, seen) => multiplications >= Math.max(LEAST_WORK, 96 * seen);

/** What is computed of a run of layers, and under which names. */
class RunUse {
  readonly seen = new Map<string, number>();
  /** Those that programs see. */
  readonly #byPrograms = new Set<string>();
  readonly #positions: string[] = [];
  #layers = 0;
  #hasMoments = false;

  constructor(
    readonly run: LayerRun,
    readonly index: number,
  ) {}

  /** The name of a tensor of the run. */
  nameOf({ layer, what, end }: RunPlace): string {
    return `layers ${this.index}: ${layer} ${what} ${end}`;
  }

  /** Notes that a program reads a tensor, or another run. */
  see(place: RunPlace, byProgram: boolean): void {
    this.#layers = Math.max(this.#layers, place.layer + 1);
    this.seen.set(this.nameOf(place), place.layer);
    if (place.what === 'moments') this.#hasMoments = true;
    else if (byProgram) this.#byPrograms.add(this.nameOf(place));
  }

  /** Whether the kernel is to do it. */
  passes(isWorth: Worth): boolean {
    const batch = this.run.input[0]?.shape[1] as number;
    const features = [...this.#byPrograms].map((name) =>
      (this.run.layers[this.seen.get(name) as number] as RunLayer).output.reduce((a, b) => a * b),
    );
    const seen = batch * features.reduce((a, b) => a + b, 0);
    return isWorth(workOf(this.run, this.#layers), seen);
  }

  /** What the run reads up to the last layer that is seen. */
  get read(): readonly Tensor[] {
    const layers = this.run.layers.slice(0, this.#layers);
    const parameters = layers.flatMap(({ weight, bias }) => [weight, ...(bias ? [bias] : [])]);
    return [...this.run.input, ...parameters, ...this.#present];
  }

  /** Weights of images in moments, where there are any. */
  get #present(): readonly Tensor[] {
    return this.#hasMoments ? [momentWeights(this.run) as Tensor] : [];
  }

  data(nameOf: (x: Tensor) => string): KernelRunData {
    const { input: from, layers } = this.run;
    const position = (name: string) => this.#positions.push(name) - 1;
    const ends = from.map((x) => position(nameOf(x)));
    const seen = (layer: number, what: RunPlace['what']) =>
      from.map((_, end) => {
        const name = this.nameOf({ run: this.run, layer, what, end });
        return this.seen.has(name) ? position(name) : undefined;
      });
    const [present] = this.#present.map((x) => position(nameOf(x)));
    const seenMoments = (layer: number) => {
      const name = this.nameOf({ run: this.run, layer, what: 'moments', end: 0 });
      return this.seen.has(name) ? position(name) : undefined;
    };
    const encoded = layers.slice(0, this.#layers).map(
      ({ weight, bias, passed, ...geometry }, k): KernelLayer => ({
        ...geometry,
        relu: passed !== undefined,
        weight: position(nameOf(weight)),
        bias: bias && position(nameOf(bias)),
        sums: seen(k, 'sums'),
        passed: seen(k, 'passed'),
        moments: seenMoments(k),
      }),
    );
    const [{ shape, dtype }] = from as [Tensor];
    const chain = encodeLayers({
      batch: shape[1] as number,
      input: ends as [number],
      layers: encoded,
      present,
    });
    const seenNames = [...this.seen.keys()];
    return { kind: 'layers', chain, dtype: dtype as FloatType, arrays: this.#positions, seen: seenNames };
  }
}

/** What is computed of a run, and under which names. */
type Use = RunUse | MarginUse;

const useOf = (run: LayerRun | MarginRun, index: number): Use =>
  'rows' in run ? new MarginUse(run, index) : new RunUse(run, index);

/** The graphs of a stage that may contain layers. */
export const outputsOf = (stage: WholeStage | RowKernelStage): Readonly<Record<string, Tensor>> =>
  stage.kind === 'whole' ? stage.outputs : stage.prepared;

/** Runs of layers in the stages of a plan. */
export class Runs {
  readonly #uses = new Map<LayerRun | MarginRun, Use>();
  readonly #replacements = new Map<Tensor, Tensor>();
  readonly #names = new Map<Tensor, string>();
  /** Runs that an earlier stage has computed, and their levels. */
  readonly #levels = new Map<LayerRun | MarginRun, number>();

  readonly #left: ReadonlySet<LayerRun | MarginRun>;

  /** Without the runs that are `left` to programs. */
  constructor(left: ReadonlySet<LayerRun | MarginRun>) {
    this.#left = left;
  }

  /** Tensors of runs that some outputs are computed from. */
  places(outputs: readonly Tensor[]): Map<Tensor, RunPlace> {
    return runPlaces(outputs, this.#left);
  }

  /** Notes what some tensors need of runs, and what those need; a program reads them, or a kernel. */
  find(tensors: readonly Tensor[], byPrograms = true): void {
    for (const [x, place] of this.places(tensors)) {
      const use = this.#uses.get(place.run) ?? useOf(place.run, this.#uses.size);
      this.#uses.set(place.run, use);
      use.see(place, byPrograms || !tensors.includes(x));
      if (this.#replacements.has(x)) continue;
      this.#replacements.set(x, input(use.nameOf(place), x.shape, x.dtype));
      this.find(use.read, false);
    }
  }

  /** Runs that are not worth it. */
  unworthy(isWorth: Worth): (LayerRun | MarginRun)[] {
    const uses = [...this.#uses.values()].filter((use) => !use.passes(isWorth));
    return uses.map(({ run }) => run);
  }

  /** The same tensors with those of runs as inputs. */
  cut(outputs: Readonly<Record<string, Tensor>>): Readonly<Record<string, Tensor>> {
    const names = Object.keys(outputs);
    const values = substitute(Object.values(outputs), this.#replacements);
    return Object.fromEntries(names.map((name, i) => [name, values[i] as Tensor]));
  }

  /** Runs that tensors need and no earlier stage has computed, in an order in which they can be. */
  levels(tensors: readonly Tensor[]): KernelLevel[] {
    const fresh = new Map<number, Use[]>();
    const levelOf = (run: LayerRun | MarginRun): number => {
      const known = this.#levels.get(run);
      if (known !== undefined) return known;
      const use = this.#uses.get(run) as Use;
      const level = this.#after(use.read, levelOf);
      this.#levels.set(run, level);
      fresh.set(level, [...(fresh.get(level) ?? []), use]);
      return level;
    };
    this.#after(tensors, levelOf);
    const order = [...fresh].sort(([a], [b]) => a - b);
    return order.map(([, uses]) => this.#level(uses));
  }

  #after(tensors: readonly Tensor[], levelOf: (run: LayerRun | MarginRun) => number): number {
    const runs = [...this.places(tensors).values()].map(({ run }) => run);
    return Math.max(0, ...[...new Set(runs)].map((run) => levelOf(run) + 1));
  }

  #level(uses: readonly Use[]): KernelLevel {
    const prepared: Record<string, Tensor> = {};
    const nameOf = (x: Tensor): string => {
      const value = this.#replacements.get(x) ?? x;
      if (isInput(value)) return inputName(value);
      const name = this.#names.get(x) ?? `layers read ${this.#names.size}`;
      if (!this.#names.has(x)) prepared[name] = x;
      this.#names.set(x, name);
      return name;
    };
    const runs = uses.map((use) => use.data(nameOf));
    return { prepared: this.cut(prepared), runs };
  }
}

/**
 * Whether a stage's graphs may contain layers. Programs compute what is constant to derivatives: a run that
 * later stages share would be, too.
 */
export const hasLayers = (stage: { readonly kind: string }): stage is WholeStage | RowKernelStage =>
  (stage.kind === 'whole' && !(stage as WholeStage).constant) || stage.kind === 'row-kernel';

/** Runs of layers that are worth it: where one is left to programs, others before it may come to light. */
export function worthyRuns(stages: readonly { readonly kind: string }[], isWorth: Worth): Runs {
  const left = new Set<LayerRun | MarginRun>();
  for (;;) {
    const runs = new Runs(left);
    for (const stage of stages) if (hasLayers(stage)) runs.find(Object.values(outputsOf(stage)));
    const unworthy = runs.unworthy(isWorth);
    if (unworthy.length === 0) return runs;
    for (const run of unworthy) left.add(run);
  }
}
