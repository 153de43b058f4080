/**
 * Branch and bound on the inputs: boxes are halved until CROWN's bounds prove each part. The way for networks
 * of few inputs, and the only complete one for activations that are not piecewise linear.
 *
 * Bounds of every layer are computed anew for each part, a batch of parts at once. The input that is halved
 * is the one whose width moves the linear bounds most, max over rows of |a_i| (u_i − l_i) (Wang et al. 2018,
 * ReluVal; "smear"). Worst bounds first.
 */
import { abs, add, type FloatType, input, mul, reshape, sub, type Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { forward, type Network, parameterInputs } from '../../network/network.js';
import { withoutNormalization } from '../../relaxation/front.js';
import { backSubstitute, concretize } from '../../relaxation/linear/back-substitution.js';
import { crownBounds } from '../../relaxation/linear/crown.js';
import { slopesOf } from '../../relaxation/linear/nonlinear.js';
import type { BoundProblem, Bounds } from '../../relaxation/relaxation.js';
import { createPlan, type Plan } from '../../runtime/plan/plan.js';
import { sizeOfValues } from '../proof/hidden-size.js';
import { proofThreshold } from '../proof/rounding.js';
import { runningError } from '../proof/running-error.js';
import { type Box, centreOf, type Polytope, sizeOfTerms, violation } from '../property/property.js';
import { allowance, endsOf } from './allowance.js';
import { type Engine, type Floats, floats } from './engine.js';
import { columnsOf } from './hidden-bounds.js';
import { soundCrown } from './sound-crown.js';
import { worstFirst } from './worst-first.js';

/** A part of a box with the polytopes, by number, that are open on it. */
interface Part {
  readonly box: Box;
  readonly open: readonly number[];
  /** The least over open polytopes of the best bound of its inequalities. */
  readonly bound: number;
  /** Input to halve next. */
  readonly next: number;
}

export interface InputSplittingOptions {
  readonly polytopes: readonly Polytope[];
  /** Bytes that the open parts may take. */
  readonly memoryBytes: number;
  /**
   * Called with the centre of a part at which polytope number `polytope` is all but reached. True ends the
   * search: it is a counterexample.
   */
  readonly found: (point: Float32Array, polytope: number) => Promise<boolean>;
  readonly progress?: (state: {
    readonly subproblems: number;
    readonly open: number;
    readonly lowerBound: number;
  }) => void;
}

export interface SplittingResult {
  readonly verdict: 'proved' | 'found' | 'open';
  readonly subproblems: number;
  /** Lower bound of what is open beside what would prove it; 0 or more where nothing is. */
  readonly lowerBound: number;
  /** Why something is open: no time or memory left, or parts that cannot be divided any further. */
  readonly reason?: 'time' | 'memory' | 'leaves';
}

/** Inequalities bounded in each column. */
const MOST_ROWS = 64;
/** A centre this close to unsafe, beside the size of its outputs, is tried as a counterexample. */
const NEARLY = 1e-5;
/**
 * Parts narrower than this, beside the size of their ends, are as narrow as the engine's numbers tell apart.
 */
const NARROW = { float32: 2 ** -22, float64: 2 ** -48 };

/**
 * (parameters, `lower`, `upper` [inputs, n], `rows` [outputs, r, n] and, with `mixed`, `input rows` [inputs,
 * r, n]) → `margins` [r, n], how far each input's width moves them, `influence` [inputs, r·n], and at the
 * centre the outputs [outputs, n] and the largest activation `hidden` [1, n]; in float32 the running errors
 * of the outputs, `error` [outputs, n].
 */
function splittingPlan(net: Network, columns: number, rows: number, mixed: boolean, dtype: FloatType): Plan {
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

/** Floats that the widest array of a sound program may hold. */
const SOUND_FLOATS = 2 ** 22;
/** Boxes of a sound program, which bounds all neurons of all of them densely. */
function soundColumns(net: Network): number {
  const widest = net.nodes.reduce(
    (most, { layer }) => Math.max(most, featuresOf(layer.output)),
    featuresOf(net.input),
  );
  return 2 ** Math.max(3, Math.min(8, Math.floor(Math.log2(SOUND_FLOATS / (2 * widest * widest)))));
}

/** Groups of polytopes that share a box, few enough for their inequalities to fit one column. */
function groupsOf(polytopes: readonly Polytope[]): { box: Box; open: number[]; rows: number }[] {
  const groups: { box: Box; open: number[]; rows: number }[] = [];
  const latest = new Map<Box, (typeof groups)[number]>();
  polytopes.forEach(({ box, unsafe }, index) => {
    let group = latest.get(box);
    if (group === undefined || group.rows + unsafe.length > MOST_ROWS) {
      group = { box, open: [], rows: 0 };
      latest.set(box, group);
      groups.push(group);
    }
    group.open.push(index);
    group.rows += unsafe.length;
  });
  return groups;
}

export async function splitInputs(engine: Engine, options: InputSplittingOptions): Promise<SplittingResult> {
  const { network: net } = engine;
  const { polytopes, memoryBytes } = options;
  const [inputs, outputs] = [featuresOf(net.input), net.classes];
  const groups = groupsOf(polytopes);
  const rows = groups.reduce((widest, group) => Math.max(widest, group.rows), 1);
  const mixed = polytopes.some(({ unsafe }) => unsafe.some((row) => row.inputs !== undefined));
  const most = engine.dtype === 'float64' ? soundColumns(net) : Math.max(8, columnsOf(engine) / 2);
  const planOf = (columns: number): Plan =>
    engine.plan(`split ${columns} ${rows} ${mixed}`, () =>
      splittingPlan(net, columns, rows, mixed, engine.dtype),
    );

  /** Bounds of parts; the ones that stay open, each with what is open on it. */
  async function bound(parts: readonly Part[]): Promise<Part[] | 'found'> {
    const columns = parts.length <= most / 8 ? most / 8 : most;
    const feeds = {
      lower: floats(engine, inputs * columns),
      upper: floats(engine, inputs * columns),
      rows: floats(engine, outputs * rows * columns),
      ...(mixed && { 'input rows': floats(engine, inputs * rows * columns) }),
    };
    parts.forEach(({ box, open }, j) => {
      const { lower, upper } = endsOf(engine, box);
      for (let i = 0; i < inputs; i++) {
        feeds.lower[i * columns + j] = lower[i] as number;
        feeds.upper[i * columns + j] = upper[i] as number;
      }
      let row = 0;
      for (const index of open)
        for (const { outputs: c, inputs: d } of (polytopes[index] as Polytope).unsafe) {
          c.forEach((value, k) => {
            feeds.rows[(k * rows + row) * columns + j] = value;
          });
          d?.forEach((value, i) => {
            (feeds['input rows'] as Floats)[(i * rows + row) * columns + j] = value;
          });
          row++;
        }
    });
    const made = (await engine.run(planOf(columns), feeds)) as Record<
      'margins' | 'influence' | 'at centre' | 'hidden',
      Floats
    > & { readonly error?: Floats };
    const left: Part[] = [];
    for (const [j, { box, open }] of parts.entries()) {
      const y = Float64Array.from(
        { length: outputs },
        (_, k) => made['at centre'][k * columns + j] as number,
      );
      const rounding = {
        hidden: made.hidden[j] as number,
        error: (k: number) => made.error?.[k * columns + j] as number,
      };
      const centre = centreOf(box);
      const stay: number[] = [];
      const influence = new Float64Array(inputs);
      let least = Number.POSITIVE_INFINITY;
      let row = 0;
      for (const index of open) {
        const polytope = polytopes[index] as Polytope;
        const first = row;
        let best = Number.NEGATIVE_INFINITY;
        for (const inequality of polytope.unsafe) {
          const margin =
            (made.margins[row * columns + j] as number) -
            inequality.bound -
            allowance(engine, sizeOfTerms(inequality, centre, y), inequality, rounding);
          if (margin > best) best = margin;
          row++;
        }
        // A bound above the value at the centre is none: arithmetic overflowed.
        const value = violation(polytope, centre, y);
        if (best > 0 && best <= value + proofThreshold(Math.abs(value)) && Number.isFinite(best)) continue;
        stay.push(index);
        least = Math.min(least, best);
        for (let r = first; r < row; r++)
          for (let i = 0; i < inputs; i++)
            influence[i] = Math.max(
              influence[i] as number,
              made.influence[(i * rows + r) * columns + j] as number,
            );
        if (
          value <= NEARLY * (1 + Math.abs(value)) &&
          (await options.found(Float32Array.from(centre), index))
        )
          return 'found';
      }
      if (stay.length > 0)
        left.push({ box, open: stay, bound: least, next: widest(box, influence, NARROW[engine.dtype]) });
    }
    return left;
  }

  const bytes = 16 * inputs + 200;
  const frontier = worstFirst<Part>(engine);
  let subproblems = 0;
  let leafBound = Number.POSITIVE_INFINITY;
  let found = false;
  let begun = 0;
  const full = () => frontier.length * bytes > memoryBytes;
  // Of a box that was never bounded nothing is known.
  const lowerBound = () =>
    begun < groups.length ? Number.NEGATIVE_INFINITY : Math.min(frontier.leastBound(), leafBound);

  const report = () => options.progress?.({ subproblems, open: frontier.length, lowerBound: lowerBound() });

  /** What is left of parts, to be halved further. */
  async function settle(parts: readonly Part[]): Promise<Part[]> {
    const left = await bound(parts);
    subproblems += parts.length;
    if (left === 'found') {
      found = true;
      return [];
    }
    for (const part of left) if (part.next < 0) leafBound = Math.min(leafBound, part.bound);
    return left.filter(({ next }) => next >= 0);
  }

  const wholes = groups.map(
    ({ box, open }): Part => ({ box, open, bound: Number.NEGATIVE_INFINITY, next: -1 }),
  );
  while (begun < wholes.length && !found && !engine.expired()) {
    const some = wholes.slice(begun, begun + most);
    frontier.push(await settle(some));
    begun += some.length;
    report();
  }
  await frontier.work(
    most / 2,
    () => found || full(),
    (parts) => settle(parts.flatMap(halves)),
    report,
  );

  const totals = { subproblems, lowerBound: lowerBound() };
  if (found) return { verdict: 'found', ...totals };
  if (full()) return { verdict: 'open', ...totals, reason: 'memory' };
  if (frontier.length > 0 || begun < wholes.length) return { verdict: 'open', ...totals, reason: 'time' };
  return leafBound < Number.POSITIVE_INFINITY
    ? { verdict: 'open', ...totals, reason: 'leaves' }
    : { verdict: 'proved', ...totals };
}

/** The input of most influence; −1 if none is wide enough to be halved. */
function widest({ lower, upper }: Box, influence: Float64Array, narrow: number): number {
  let best = -1;
  let most = -1;
  influence.forEach((a, i) => {
    const [low, high] = [lower[i] as number, upper[i] as number];
    if (!(high - low > narrow * Math.max(Math.abs(low), Math.abs(high), 1e-30))) return;
    if (a > most) [best, most] = [i, a];
  });
  return best;
}

function halves(part: Part): Part[] {
  const { lower, upper } = part.box;
  const middle = ((lower[part.next] as number) + (upper[part.next] as number)) / 2;
  const [below, above] = [upper.slice(), lower.slice()];
  below[part.next] = middle;
  above[part.next] = middle;
  return [
    { ...part, box: { lower, upper: below } },
    { ...part, box: { lower: above, upper } },
  ];
}
