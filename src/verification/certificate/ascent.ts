/** Ascent in the hints of one leaf: Adam on α and β, kept in their ranges, until the bound is positive. */
import type { Bounds } from '../../../checker/bounds.js';
import type { Node } from '../../../checker/onnx.js';
import type { Row } from '../../../checker/vnnlib.js';
import { type Dual, dualAt, type Multipliers, type Signs } from './dual.js';

export interface Problem {
  readonly nodes: readonly Node[];
  readonly bounds: Bounds;
  readonly row: Row;
  readonly signs: Signs;
}

export interface Ascended extends Multipliers {
  readonly dual: Dual;
}

/** First step of α and of β, what the step is multiplied by each time, and Adam's means. */
const STEP = { alpha: 0.1, beta: 0.05, fall: 0.97 };
const MOMENTS = { first: 0.9, second: 0.999 };

/** Adam's state of one array, each of whose entries stays in [0, most]. */
class Moments {
  readonly #first: Float64Array;
  readonly #second: Float64Array;
  constructor(size: number) {
    this.#first = new Float64Array(size);
    this.#second = new Float64Array(size);
  }
  /** Moves x[i] along its derivative, at step number t from 1. */
  move(x: Float64Array, i: number, derivative: number, t: number, step: number, most: number): void {
    const { first, second } = MOMENTS;
    const m = first * (this.#first[i] as number) + (1 - first) * derivative;
    const v = second * (this.#second[i] as number) + (1 - second) * derivative * derivative;
    this.#first[i] = m;
    this.#second[i] = v;
    const moved = (step * m) / (1 - first ** t) / (Math.sqrt(v / (1 - second ** t)) + 1e-12);
    x[i] = Math.min(most, Math.max(0, (x[i] as number) + moved));
  }
}

/**
 * The best multipliers met in some steps.
 * @param enough ends the ascent early
 */
export function ascend(
  problem: Problem,
  from: Multipliers,
  steps: number,
  enough: (best: Ascended) => boolean,
): Ascended {
  const { nodes, bounds, row, signs } = problem;
  const now = { alpha: from.alpha.slice(), beta: new Map([...from.beta].map(([k, b]) => [k, b.slice()])) };
  const alphaMoments = new Moments(now.alpha.length);
  const betaMoments = new Map([...signs].map(([k, { length }]) => [k, new Moments(length)]));
  const snapshot = (dual: Dual): Ascended => ({
    alpha: now.alpha.slice(),
    beta: new Map([...now.beta].map(([k, b]) => [k, b.slice()])),
    dual,
  });
  let best = snapshot(dualAt(nodes, bounds, row, signs, now));
  let dual = best.dual;
  for (let t = 1; t <= steps && !enough(best); t++) {
    const scale = STEP.fall ** (t - 1);
    nodes.forEach(({ op, inputs }, k) => {
      const a = dual.arrived[k];
      if (op !== 'relu' || a === undefined) return;
      const z = dual.values[inputs[0] as number] as Float64Array;
      const own = signs.get(k);
      const beta = now.beta.get(k);
      for (let i = 0; i < a.length; i++) {
        const sign = own?.[i] ?? 0;
        const index = bounds.unstable[k]?.[i] as number;
        if (sign !== 0 && beta)
          betaMoments.get(k)?.move(beta, i, -sign * (z[i] as number), t, STEP.beta * scale, 1e9);
        else if (index >= 0 && (a[i] as number) > 0)
          alphaMoments.move(now.alpha, index, (a[i] as number) * (z[i] as number), t, STEP.alpha * scale, 1);
      }
    });
    dual = dualAt(nodes, bounds, row, signs, now);
    if (dual.value > best.dual.value) best = snapshot(dual);
  }
  return best;
}
