/**
 * Least values of rows over one layer of ReLUs that read a box: min Σ cₖ yₖ, yₖ = max(0, wₖ·x + bₖ), as
 * exact as bounds of single neurons can be (Tjandraatmadja et al. 2020, "The convex relaxation barrier,
 * revisited").
 *
 * A neuron of cₖ > 0 is bounded from below by α (w·x + b), α ∈ [0, 1]; one of cₖ < 0 from above by
 *
 *   y ≤ Σᵢ mᵢ (wᵢ xᵢ − min wᵢ xᵢ) + max(0, u − Σᵢ mᵢ ρᵢ),   ρᵢ = max wᵢ xᵢ − min wᵢ xᵢ,
 *
 * for every m ∈ [0, 1]: with Σ mᵢ ρᵢ ≥ u the right side is at least 0 and, since 1 − mᵢ ≥ 0, at least
 * w·x + b. The best m have Σ mᵢ ρᵢ = u; the triangle is m = u/(u − l). The lines of all m, α and all x of the
 * box are a bilinear game, whose value primal and dual steps approach together (Chambolle and Pock 2011),
 * each as long as its coefficients allow, begun anew at the mean of the steps after every few. Whatever m and
 * α they come to, the bound is that of the lines: steps cost no soundness.
 */

/** Ends of the box that the ReLUs read. */
interface Box {
  readonly lower: ArrayLike<number>;
  readonly upper: ArrayLike<number>;
}

/** A ReLU by its taps, which read inputs that vary. */
export interface BoxRelu {
  readonly index: Int32Array;
  readonly weight: Float64Array;
  /** b, and what inputs that do not vary add to it. */
  readonly bias: number;
  /** min wᵢ xᵢ and ρᵢ of each tap. */
  readonly least: Float64Array;
  readonly reach: Float64Array;
  /** l and u. */
  readonly lower: number;
  readonly upper: number;
}

/** A row over ReLUs: Σ coefficients[i] · y of ReLU index[i], plus `base`. */
export interface EnvelopeRow {
  readonly index: readonly number[];
  readonly coefficients: readonly number[];
  readonly base: number;
}

/** Steps of a row, and after how many they begin anew. */
const STEPS = 40;
const ROUND = 20;
/** Steps in x are longer, those in m and α shorter by this much. */
const BALANCE = 3;
/** Steps that bring m to Σ mᵢ ρᵢ = u. */
const PROJECTION = 6;
/** What arithmetic may lose, of the size of a row's terms. */
const ROUNDING = 1e-6;

/** The ReLU of weights w over a box. */
export function boxRelu(w: ArrayLike<number>, bias: number, { lower, upper }: Box): BoxRelu {
  const taps: number[] = [];
  let offset = bias;
  for (let i = 0; i < w.length; i++) {
    if (w[i] === 0) continue;
    if (lower[i] === upper[i]) offset += (w[i] as number) * (lower[i] as number);
    else taps.push(i);
  }
  const index = Int32Array.from(taps);
  const weight = Float64Array.from(index, (i) => w[i] as number);
  const ends = (i: number, tap: number) => [
    (weight[tap] as number) * (lower[i] as number),
    (weight[tap] as number) * (upper[i] as number),
  ];
  const least = Float64Array.from(index, (i, tap) => Math.min(...ends(i, tap)));
  const reach = Float64Array.from(index, (i, tap) => Math.max(...ends(i, tap)) - (least[tap] as number));
  const from = least.reduce((sum, value) => sum + value, offset);
  const to = reach.reduce((sum, value) => sum + value, from);
  return { index, weight, bias: offset, least, reach, lower: from, upper: to };
}

/** What stands for a ReLU in a row: c (α (w·x + b)), or c times its upper line. */
interface Line {
  readonly relu: BoxRelu;
  readonly coefficient: number;
  readonly above: boolean;
  /** m of each tap, or α alone. */
  readonly share: Float64Array;
  /** The sum of those since the steps began anew. */
  readonly sum: Float64Array;
  /** Whether there is something to choose: its sign is open. */
  readonly open: boolean;
}

/** Adds the coefficients of a line to those at the inputs. @returns its constant */
export function addLine(
  { relu, coefficient, above, share }: Pick<Line, 'relu' | 'coefficient' | 'above' | 'share'>,
  slope: Float64Array,
): number {
  const { index, weight, least, reach, bias, upper } = relu;
  if (!above) {
    const a = coefficient * (share[0] as number);
    for (let tap = 0; tap < index.length; tap++)
      slope[index[tap] as number] = (slope[index[tap] as number] as number) + a * (weight[tap] as number);
    return a * bias;
  }
  let [offset, missing] = [0, upper];
  for (let tap = 0; tap < index.length; tap++) {
    const m = share[tap] as number;
    const i = index[tap] as number;
    slope[i] = (slope[i] as number) + coefficient * m * (weight[tap] as number);
    offset -= m * (least[tap] as number);
    missing -= m * (reach[tap] as number);
  }
  return coefficient * (offset + Math.max(0, missing));
}

/** Lower bounds of rows over the ReLUs of one box. */
export class Envelope {
  /** x, its reflection and its sum, its steps, and the coefficients there, by input. */
  readonly #x: Float64Array;
  readonly #reflected: Float64Array;
  readonly #sum: Float64Array;
  readonly #step: Float64Array;
  readonly #slope: Float64Array;

  constructor(
    readonly box: Box,
    readonly relus: readonly BoxRelu[],
  ) {
    const array = () => new Float64Array(box.lower.length);
    [this.#x, this.#reflected, this.#sum] = [array(), array(), array()];
    [this.#step, this.#slope] = [array(), array()];
  }

  /** A lower bound of a row over the box. */
  least(row: EnvelopeRow, steps = STEPS): number {
    const lines = this.#linesOf(row);
    const inputs = this.#begin(lines);
    let best = this.#bound(lines, inputs, row.base);
    for (let t = 1; t <= steps; t++) {
      this.#slopes(lines, inputs);
      this.#moveInputs(inputs);
      for (const line of lines) if (line.open) this.#moveShares(line);
      if (t % ROUND !== 0 && t !== steps) continue;
      this.#mean(lines, inputs, t % ROUND === 0 ? ROUND : t % ROUND);
      best = Math.max(best, this.#bound(lines, inputs, row.base));
    }
    const size = lines.reduce(
      (sum, { coefficient: c, relu: { lower, upper } }) => sum + Math.abs(c) * (upper - Math.min(lower, 0)),
      Math.abs(row.base),
    );
    return best - ROUNDING * size;
  }

  /** Lines of triangles, and CROWN's α. */
  #linesOf({ index, coefficients }: EnvelopeRow): Line[] {
    return index.flatMap((k, i): Line[] => {
      const relu = this.relus[k] as BoxRelu;
      const coefficient = coefficients[i] as number;
      const { lower: l, upper: u } = relu;
      if (coefficient === 0 || u <= 0) return [];
      const open = l < 0;
      const above = open && coefficient < 0;
      const first = above ? u / (u - l) : u > -l ? 1 : 0;
      const share = new Float64Array(above ? relu.index.length : 1).fill(first);
      return [{ relu, coefficient, above, share, sum: new Float64Array(share.length), open }];
    });
  }

  /** Sets x to the centre, and the steps of the inputs that lines read. @returns those inputs */
  #begin(lines: readonly Line[]): Int32Array {
    const read = new Set<number>();
    for (const { relu, coefficient } of lines)
      relu.index.forEach((i, tap) => {
        if (!read.has(i)) this.#step[i] = 0;
        read.add(i);
        this.#step[i] = (this.#step[i] as number) + Math.abs(coefficient * (relu.weight[tap] as number));
      });
    const { lower, upper } = this.box;
    for (const i of read) {
      const [l, u] = [lower[i] as number, upper[i] as number];
      this.#x[i] = (l + u) / 2;
      this.#sum[i] = 0;
      this.#step[i] = (BALANCE * (u - l)) / Math.max(this.#step[i] as number, Number.MIN_VALUE);
    }
    return Int32Array.from(read);
  }

  /** Coefficients of the lines at the inputs. @returns their constant */
  #slopes(lines: readonly Line[], inputs: Int32Array): number {
    const slope = this.#slope;
    for (const i of inputs) slope[i] = 0;
    let constant = 0;
    for (const line of lines) constant += addLine(line, slope);
    return constant;
  }

  /** The least value of the lines over the box. */
  #bound(lines: readonly Line[], inputs: Int32Array, base: number): number {
    const { lower, upper } = this.box;
    let value = base + this.#slopes(lines, inputs);
    for (const i of inputs) {
      const a = this.#slope[i] as number;
      value += a * ((a > 0 ? lower[i] : upper[i]) as number);
    }
    return value;
  }

  #moveInputs(inputs: Int32Array): void {
    const { lower, upper } = this.box;
    for (const i of inputs) {
      const before = this.#x[i] as number;
      const moved = before - (this.#step[i] as number) * (this.#slope[i] as number);
      const x = Math.min(Math.max(moved, lower[i] as number), upper[i] as number);
      this.#x[i] = x;
      this.#reflected[i] = 2 * x - before;
      this.#sum[i] = (this.#sum[i] as number) + x;
    }
  }

  #moveShares({ relu, above, share, sum }: Line): void {
    const { index, weight, least, reach, bias, lower, upper } = relu;
    const x = this.#reflected;
    if (above) {
      for (let tap = 0; tap < share.length; tap++) {
        const raised = (weight[tap] as number) * (x[index[tap] as number] as number) - (least[tap] as number);
        share[tap] = (share[tap] as number) - raised / (reach[tap] as number) / BALANCE;
      }
      project(share, reach, upper);
    } else {
      let z = bias;
      for (let tap = 0; tap < index.length; tap++)
        z += (weight[tap] as number) * (x[index[tap] as number] as number);
      share[0] = clip((share[0] as number) + z / (upper - lower) / BALANCE);
    }
    for (let tap = 0; tap < share.length; tap++) sum[tap] = (sum[tap] as number) + (share[tap] as number);
  }

  /** Begins anew at the mean of the last steps. */
  #mean(lines: readonly Line[], inputs: Int32Array, steps: number): void {
    for (const { open, share, sum } of lines)
      if (open)
        for (let tap = 0; tap < share.length; tap++) {
          share[tap] = clip((sum[tap] as number) / steps);
          sum[tap] = 0;
        }
    for (const i of inputs) {
      this.#x[i] = (this.#sum[i] as number) / steps;
      this.#sum[i] = 0;
    }
  }
}

const clip = (share: number): number => Math.min(Math.max(share, 0), 1);

/**
 * Moves m to the nearest of Σ mᵢ ρᵢ = u with m ∈ [0, 1], or close to it: m + δ, clipped, δ by steps of
 * Newton's or, where they leave what is known of δ, by halves of that.
 */
function project(m: Float64Array, reach: Float64Array, upper: number): void {
  let [delta, from, to] = [0, -2, 2];
  for (let t = 0; t < PROJECTION; t++) {
    let [excess, growth] = [-upper, 0];
    for (let i = 0; i < m.length; i++) {
      const value = (m[i] as number) + delta;
      const r = reach[i] as number;
      if (value >= 1) excess += r;
      else if (value > 0) {
        excess += r * value;
        growth += r;
      }
    }
    if (Math.abs(excess) < 1e-9 * upper) break;
    if (excess > 0) to = delta;
    else from = delta;
    const next = delta - excess / growth;
    delta = next > from && next < to ? next : (from + to) / 2;
  }
  for (let i = 0; i < m.length; i++) m[i] = clip((m[i] as number) + delta);
}
