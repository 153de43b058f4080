/**
 * Steps of the margin kernel (`kernels/margin-kernel.ts`): rows of a network's outputs carried back to the
 * input, where a graph contains such margins (`layer-runs.ts`).
 */
import { type FloatType, sizeOf, type Tensor } from '../../../graph/tensor.js';
import { multiplicationsOf } from '../../kernels/convolution.js';
import {
  type EncodedMargins,
  encodeMargins,
  type LineArray,
  type MarginStep,
  type Sides,
} from '../../kernels/margin-chain.js';
import { kernelMarginGradients, kernelMargins } from '../../kernels/margin-kernel.js';
import type { MarginRun, MarginRunStep, RunSides, Worth } from '../layer-runs.js';
import type { Floats, Run } from '../run.js';
import { gradientName } from '../step.js';

/** What one call of the kernel does, as plain data. */
export interface KernelMarginsData {
  readonly kind: 'margins';
  readonly chain: EncodedMargins;
  readonly dtype: FloatType;
  /** Names of the kernel's arrays, by position. */
  readonly arrays: readonly string[];
  /** Those without a derivative. */
  readonly constants: readonly string[];
  /** The name of the margins. */
  readonly seen: readonly [string];
}

/** Multiplications of a step of ascent in a number of a side that is to be chosen. */
const CHOICE = 16;

function readBy(step: MarginRunStep): readonly Tensor[] {
  if (step.kind === 'relu') return [step.lower, step.upper];
  const parts: (Tensor | undefined)[] = [];
  if (step.kind === 'lines') {
    const { alpha, lambda, mu, shift, sides } = step;
    parts.push(alpha, lambda, mu, shift, sides?.weights, sides?.numbers, ...(sides?.ends ?? []));
  } else parts.push(step.weight, step.bias);
  return parts.filter((x) => x !== undefined);
}

/** The margins of a run, and their name. */
export class MarginUse {
  constructor(
    readonly run: MarginRun,
    readonly index: number,
  ) {}

  nameOf(): string {
    return `margins ${this.index}`;
  }

  /** Of margins there is one tensor, so nothing is to be noted. */
  see(): void {}

  passes(isWorth: Worth): boolean {
    const { rows, steps } = this.run;
    const ofRow = steps.map((step) => (step.kind === 'affine' ? multiplicationsOf(step) : 0));
    const toChoose = steps.map((step) =>
      step.kind === 'lines' && step.sides?.ends ? sizeOf(step.sides.weights.shape) : 0,
    );
    const margins = (rows.shape[1] as number) * (rows.shape[2] as number);
    const total = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);
    return isWorth(margins * total(ofRow) + CHOICE * total(toChoose), margins);
  }

  get read(): readonly Tensor[] {
    return [this.run.rows, ...this.run.steps.flatMap(readBy), ...this.run.box];
  }

  data(nameOf: (x: Tensor) => string): KernelMarginsData {
    const { rows, nested, steps, box } = this.run;
    const arrays = [nameOf(rows)];
    const constants: string[] = [];
    const position = (x: Tensor) => arrays.push(nameOf(x)) - 1;
    const lines = (x: Tensor): LineArray => ({ at: position(x), perRow: x.shape.length === 3 });
    const sidesOf = (sides: RunSides | undefined): Sides | undefined => {
      if (sides === undefined) return undefined;
      const of = { weights: position(sides.weights), numbers: position(sides.numbers) };
      const [lower, upper] = sides.ends ?? [];
      return lower && upper ? { ...of, ends: [position(lower), position(upper)] } : of;
    };
    const encoded = steps.map((step): MarginStep => {
      if (step.kind === 'relu') return { ...step, lower: position(step.lower), upper: position(step.upper) };
      if (step.kind === 'lines') {
        const { kind, extents, alpha, lambda, mu, shift, dual, sides } = step;
        if (step.constant === 'all') constants.push(nameOf(alpha), nameOf(lambda));
        const above = { lambda: lines(lambda), mu: mu && lines(mu) };
        const parts = { alpha: lines(alpha), ...above, shift: shift && lines(shift) };
        return { kind, extents, ...parts, zerosStay: step.constant === 'zeros', dual, sides: sidesOf(sides) };
      }
      return { ...step, weight: position(step.weight), bias: step.bias && position(step.bias) };
    });
    box.forEach(position);
    const [, count, batch] = rows.shape as [number, number, number];
    const chain = encodeMargins({ batch, rows: count, nested, steps: encoded });
    const dtype = rows.dtype as FloatType;
    return { kind: 'margins', chain, dtype, arrays, constants, seen: [this.nameOf()] };
  }
}

const workOf = (run: Run, { chain, arrays }: KernelMarginsData) => ({
  chain,
  arrays: arrays.map((name) => run.arrays.get(name) as Floats),
});

export async function forwardMargins(run: Run, data: KernelMarginsData): Promise<void> {
  const [name] = data.seen;
  const margins = (await run.planArray(name, data.dtype, data.chain.margins)) as Floats;
  kernelMargins(workOf(run, data), margins);
  run.arrays.set(name, margins);
}

/** Cotangents of the margins to those of what the kernel read. */
export async function reverseMargins(
  run: Run,
  data: KernelMarginsData,
  wanted: readonly string[],
): Promise<void> {
  const [seen] = data.seen;
  const cotangents = run.arrays.get(gradientName(seen)) as Floats | undefined;
  if (cotangents === undefined) return; // nothing depends on them
  const sums = new Map<string, Floats>();
  const begun: [name: string, sum: Floats][] = [];
  for (const name of wanted) {
    const size = data.chain.sizes[data.arrays.indexOf(name)] as number;
    const sum = (await run.planArray(`∂${name} by layers`, data.dtype, size)) as Floats;
    sums.set(name, sum);
    // The kernel adds to what another run has left there.
    if (run.arrays.get(gradientName(name)) === sum) continue;
    begun.push([gradientName(name), sum.fill(0)]);
  }
  const into = data.arrays.map((name) => sums.get(name));
  kernelMarginGradients(workOf(run, data), cotangents, into);
  for (const [name, sum] of begun) await run.addGradient(name, sum);
}
