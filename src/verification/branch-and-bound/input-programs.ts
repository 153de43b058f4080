/**
 * The programs of branch and bound on the inputs: parts of boxes in, bounds of their inequalities out, one
 * column a part. Bounds of every layer are computed anew for each part.
 */
import { abs, add, type FloatType, input, mul, reshape, sub, type Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { forward, INPUT, type Network, parameterInputs } from '../../network/network.js';
import { withoutNormalization } from '../../relaxation/front.js';
import { backSubstitute, concretize } from '../../relaxation/linear/back-substitution.js';
import { crownBounds } from '../../relaxation/linear/crown.js';
import { crownRowsApply, rowsApply } from '../../relaxation/linear/layer-bounds.js';
import { isNonlinear, slopesOf } from '../../relaxation/linear/nonlinear.js';
import type { BoundProblem, Bounds } from '../../relaxation/relaxation.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { sizeOfValues } from '../proof/hidden-size.js';
import { runningError } from '../proof/running-error.js';
import type { Box, Polytope } from '../property/property.js';
import { endsOf, type Rounding } from './allowance.js';
import { type Engine, type Floats, floats } from './engine.js';
import { columnsOf } from './hidden-bounds.js';
import { soundCrown } from './sound-crown.js';

/** Bounds over one part; its rows are the inequalities of its open polytopes in turn. */
export interface PartBounds {
  /** Lower bound of a row, c·y + d·x. */
  readonly margin: (row: number) => number;
  /** |a_i| (u_i − l_i) of a row's linear bound. */
  readonly influence: (input: number, row: number) => number;
  /** Outputs at the part's centre. */
  readonly atCentre: Float64Array;
  /** The size of the numbers there and, of float32, the running errors of the outputs. */
  readonly rounding: Rounding;
}

/** Extents of a program, and the floats of rows that it carries at once. */
interface SplittingShape {
  readonly columns: number;
  readonly rows: number;
  readonly mixed: boolean;
  readonly rowFloats: number;
}

/**
 * (parameters, `lower`, `upper` [inputs, n], `rows` [outputs, r, n] and, with `mixed`, `input rows` [inputs,
 * r, n]) → `margins` [r, n], how far each input's width moves them, `influence` [inputs, r·n], and at the
 * centre the outputs [outputs, n] and the largest activation `hidden` [1, n]; in float32 the running errors
 * of the outputs, `error` [outputs, n].
 */
function splittingPlan(
  net: Network,
  { columns, rows, mixed, rowFloats }: SplittingShape,
  dtype: FloatType,
): Plan {
  const [inputs, outputs] = [featuresOf(net.input), net.classes];
  const whole = {
    lower: input('lower', [inputs, columns], dtype),
    upper: input('upper', [inputs, columns], dtype),
  };
  const overOutputs = input('rows', [outputs, rows, columns], dtype);
  const overInputs = mixed
    ? reshape(input('input rows', [inputs, rows, columns], dtype), [inputs, rows * columns])
    : undefined;
  const specification = { kind: 'rows', coefficients: overOutputs } as const;
  const original: BoundProblem = {
    network: net,
    parameters: parameterInputs(net, dtype),
    box: whole,
    specification,
    rowFloats,
  };
  // Rows over the inputs mean the inputs as they are, and rounding is accounted for layer by layer.
  const problem = mixed || dtype === 'float64' ? original : withoutNormalization(original);
  const { network: bare, parameters, box } = problem;
  const { stages, coefficients, margins } =
    dtype === 'float64'
      ? { stages: [], ...soundCrown(problem, overOutputs, overInputs) }
      : crownOf(problem, overOutputs, overInputs);
  const width = reshape(sub(box.upper, box.lower), [inputs, 1, columns]);
  const influence = mul(abs(reshape(coefficients, [inputs, rows, columns])), width);
  const values = forward(bare, parameters, centreOfBox(box));
  // Rounding begins with the normalisation.
  const all = bare === net ? values : forward(net, original.parameters, centreOfBox(whole));
  return createPlan([
    ...stages,
    {
      kind: 'whole',
      outputs: {
        margins,
        influence,
        'at centre': mul(values.at(-1) as Tensor, 1),
        hidden: sizeOfValues(values),
        ...(dtype === 'float32' && { error: runningError(net, original.parameters, whole, all) }),
      },
    },
  ]);
}

const centreOfBox = ({ lower, upper }: Bounds): Tensor => mul(add(lower, upper), 0.5);

function crownOf(problem: BoundProblem, rows: Tensor, overInputs: Tensor | undefined) {
  const { network: net, parameters, box } = problem;
  const { stages, before } = crownBounds(problem);
  const bound = backSubstitute(net, parameters, net.nodes.length - 1, rows, (node) =>
    slopesOf(net, node, before(node)),
  );
  const coefficients = overInputs ? add(bound.coefficients, overInputs) : bound.coefficients;
  return { stages, coefficients, margins: concretize({ ...bound, coefficients }, box) };
}

/** Floats that the widest array of a sound program may hold, and of one in float32. */
const MOST_FLOATS = { float64: 2 ** 22, float32: 2 ** 26 } as const;
/** Floats of the widest array where all neurons are bounded densely: more than that no cache holds. */
const CACHED_FLOATS = 2 ** 22;
/** Such arrays that a program has at once. */
const ALIVE = 8;
const BYTES = { float64: 8, float32: 4 } as const;

/** Arrays of several branches, with what convolutions make of them, that dense rows pass at once. */
const BRANCHES = 8;

/** Rows of the layer that is bounded densely, times the widest that they pass: floats of one part. */
function denseFloats(net: Network, dtype: FloatType): number {
  const widest = Math.max(featuresOf(net.input), ...net.nodes.map(({ layer }) => featuresOf(layer.output)));
  const bounded = net.nodes.filter(({ layer }) => isNonlinear(layer));
  if (dtype === 'float64') return 2 * widest * widest;
  const dense = bounded.filter(
    ({ inputs: [from] }) => from !== INPUT && !crownRowsApply(net, from as number),
  );
  const each = dense.reduce((most, { layer }) => Math.max(most, 2 * featuresOf(layer.input) * widest), 0);
  const branches = bounded.some(
    ({ inputs: [from = INPUT] }) => crownRowsApply(net, from) && !rowsApply(net, from),
  );
  return branches ? BRANCHES * each : each;
}

/** Floats that an array over the rows of a program may have within the memory. */
export const roomOf = ({ dtype, threads }: Pick<Engine, 'dtype' | 'threads'>, memoryBytes: number): number =>
  Math.min(MOST_FLOATS[dtype], memoryBytes / (BYTES[dtype] * ALIVE * threads));

/**
 * Parts of a call: a power of two, as many as the CPU's cache is worth and as the dense bounds of all neurons
 * of all of them leave within the memory.
 */
export function partsOfCall(
  engine: Pick<Engine, 'network' | 'dtype' | 'columns' | 'threads'>,
  memoryBytes: number,
): number {
  const { network, dtype, threads } = engine;
  const each = denseFloats(network, dtype);
  const most = dtype === 'float64' ? 256 : Math.max(8, columnsOf(engine) / 2);
  if (each === 0) return most;
  const room = Math.min(CACHED_FLOATS, roomOf({ dtype, threads }, memoryBytes));
  const fit = 2 ** Math.floor(Math.log2(room / each));
  return Math.max(dtype === 'float64' ? 8 : 2, Math.min(most, fit));
}

/** Few parts are bounded by programs of so many times fewer columns. */
const FEWER = [16, 4];

/** Parts of boxes as they are bounded. */
export interface Bounded {
  readonly box: Box;
  /** Polytopes by number. */
  readonly open: readonly number[];
}

/** Bounds of parts of boxes. */
export interface PartBounding {
  readonly inputs: number;
  /** Parts of a call, at most. */
  readonly most: number;
  bound(parts: readonly Bounded[]): Promise<PartBounds[]>;
}

/** The programs for some polytopes, at most `rows` inequalities a part. */
export class InputPrograms implements PartBounding {
  readonly inputs: number;
  /** Parts of a call, at most. */
  readonly most: number;
  /** Whether inequalities have terms over the inputs. */
  readonly #mixed: boolean;
  readonly #rowFloats: number;

  constructor(
    readonly engine: Engine,
    readonly polytopes: readonly Polytope[],
    readonly rows: number,
    memoryBytes: number,
  ) {
    this.inputs = featuresOf(engine.network.input);
    this.most = partsOfCall(engine, memoryBytes);
    this.#rowFloats = roomOf(engine, memoryBytes);
    this.#mixed = polytopes.some(({ unsafe }) => unsafe.some(({ inputs }) => inputs !== undefined));
  }

  async bound(parts: readonly Bounded[]): Promise<PartBounds[]> {
    const { engine, rows, most } = this;
    const columns =
      FEWER.map((share) => Math.max(1, most / share)).find((few) => parts.length <= few) ?? most;
    const outputs = await engine.run(this.#planOf(columns), this.#feedsOf(columns, parts));
    const of = (name: string, at: number) => (outputs[name] as Floats)[at] as number;
    return parts.map((_, j) => ({
      margin: (row) => of('margins', row * columns + j),
      influence: (i, row) => of('influence', (i * rows + row) * columns + j),
      atCentre: Float64Array.from({ length: engine.network.classes }, (_, k) =>
        of('at centre', k * columns + j),
      ),
      rounding: { hidden: of('hidden', j), error: (k: number) => of('error', k * columns + j) },
    }));
  }

  #planOf(columns: number): Plan {
    const { engine, rows } = this;
    const shape = { columns, rows, mixed: this.#mixed, rowFloats: this.#rowFloats };
    return engine.plan(`split ${Object.values(shape).join(' ')}`, () =>
      splittingPlan(engine.network, shape, engine.dtype),
    );
  }

  #feedsOf(columns: number, parts: readonly Bounded[]): Readonly<Record<string, Floats>> {
    const { engine, inputs, rows } = this;
    const overInputs = floats(engine, this.#mixed ? inputs * rows * columns : 0);
    const feeds = {
      lower: floats(engine, inputs * columns),
      upper: floats(engine, inputs * columns),
      rows: floats(engine, engine.network.classes * rows * columns),
    };
    parts.forEach(({ box, open }, j) => {
      const { lower, upper } = endsOf(engine, box);
      for (let i = 0; i < inputs; i++) {
        feeds.lower[i * columns + j] = lower[i] as number;
        feeds.upper[i * columns + j] = upper[i] as number;
      }
      const inequalities = open.flatMap((index) => (this.polytopes[index] as Polytope).unsafe);
      for (const [row, { outputs, inputs: d }] of inequalities.entries()) {
        outputs.forEach((value, k) => {
          feeds.rows[(k * rows + row) * columns + j] = value;
        });
        d?.forEach((value, i) => {
          overInputs[(i * rows + row) * columns + j] = value;
        });
      }
    });
    return { ...feeds, ...(this.#mixed && { 'input rows': overInputs }) };
  }
}
