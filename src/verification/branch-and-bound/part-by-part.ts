/**
 * Bounds of parts of boxes one after the other, where the neurons of a network are too many to be bounded for
 * a batch of parts at once: hidden neurons that intervals leave unstable by CROWN, then the rows by α-CROWN.
 */
import { input, mul, type Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { forward, type NetworkNode, parameterInputs } from '../../network/network.js';
import { backSubstitute } from '../../relaxation/linear/back-substitution.js';
import { isNonlinear, slopesOf } from '../../relaxation/linear/nonlinear.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { centreOf, type Polytope } from '../property/property.js';
import { endsOf } from './allowance.js';
import { dualOf } from './dual-program.js';
import { type Ends, type Engine, type Floats, floats, type HiddenBounds } from './engine.js';
import { createHiddenBounding, type HiddenBounding, regionFeeds } from './hidden-bounds.js';
import type { Bounded, PartBounding, PartBounds } from './input-programs.js';
import { nodeArray } from './relu-lines.js';
import { NOTHING, roundingOver, rowFeeds } from './root.js';
import { unstableRelus } from './unstable.js';

/** Steps of α for the rows of a part. */
const ITERATIONS = 20;

/**
 * (parameters, `rows` [outputs, r, 1], bounds of what the activations read) → `coefficients` [inputs, r] of
 * the rows' linear bounds over the inputs.
 */
function slopesPlan({ network: net, dtype }: Pick<Engine, 'network' | 'dtype'>, rows: number): Plan {
  const parameters = parameterInputs(net, dtype);
  const before = (node: number) => {
    const side = (name: 'lower' | 'upper') =>
      input(nodeArray(name, node), [featuresOf((net.nodes[node] as NetworkNode).layer.input), 1], dtype);
    return { lower: side('lower'), upper: side('upper') };
  };
  const given = input('rows', [net.classes, rows, 1], dtype);
  const { coefficients } = backSubstitute(net, parameters, net.nodes.length - 1, given, (node) =>
    slopesOf(net, node, before(node)),
  );
  return createPlan([{ kind: 'whole', outputs: { coefficients: mul(coefficients, 1) } }]);
}

/** (parameters, `x` [inputs, 1]) → `y`. */
function valuePlan({ network: net, dtype }: Pick<Engine, 'network' | 'dtype'>): Plan {
  const x = input('x', [featuresOf(net.input), 1], dtype);
  const y = forward(net, parameterInputs(net, dtype), x).at(-1) as Tensor;
  return createPlan([{ kind: 'whole', outputs: { y: mul(y, 1) } }]);
}

export class PartByPart implements PartBounding {
  readonly inputs: number;
  readonly most = 1;
  readonly #bounding: HiddenBounding;

  constructor(
    readonly engine: Engine,
    readonly polytopes: readonly Polytope[],
  ) {
    this.inputs = featuresOf(engine.network.input);
    this.#bounding = createHiddenBounding(engine);
  }

  async bound(parts: readonly Bounded[]): Promise<PartBounds[]> {
    const found: PartBounds[] = [];
    for (const part of parts) found.push(await this.#boundOne(part));
    return found;
  }

  async #boundOne({ box, open }: Bounded): Promise<PartBounds> {
    const { engine, inputs } = this;
    const ends = endsOf(engine, box);
    const rows = open.flatMap((index) => (this.polytopes[index] as Polytope).unsafe);
    const hidden = await this.#bounding.bound(ends, { iterations: 0 });
    const margins = await this.#marginsOf(ends, hidden, rows);
    const slopes = await this.#slopesOf(hidden, rows);
    const values = engine.plan('value of a part', () => valuePlan(engine));
    const x = floats(engine, inputs);
    x.set(centreOf(box));
    const y = (await engine.run(values, { x })).y as Floats;
    const width = (i: number) => (ends.upper[i] as number) - (ends.lower[i] as number);
    return {
      margin: (row) => margins[row] as number,
      influence: (i, row) => {
        const own = (slopes[i * rows.length + row] as number) + (rows[row]?.inputs?.[i] ?? 0);
        return Math.abs(own) * width(i);
      },
      atCentre: Float64Array.from(y),
      rounding: engine.dtype === 'float64' ? NOTHING : await roundingOver(engine, box),
    };
  }

  /** α-CROWN's lower bound of each row. */
  async #marginsOf(ends: Ends, hidden: HiddenBounds, rows: Polytope['unsafe']): Promise<Float64Array> {
    const { engine } = this;
    const { network: net } = engine;
    const columns = 2 ** Math.max(3, Math.ceil(Math.log2(rows.length)));
    const inputRows = rows.some(({ inputs: own }) => own !== undefined);
    const unstable = unstableRelus(engine, net, hidden);
    const plan = dualOf(engine, {
      ...{ target: net.nodes.length - 1, columns, iterations: ITERATIONS, start: 'rows' },
      ...{ inputRows, unstable: unstable.capacity },
    });
    const goals = rows.map(({ outputs, inputs }) => ({ coefficients: outputs, inputs }));
    const { bound } = await engine.run(plan, {
      ...regionFeeds(ends, hidden),
      ...unstable.feeds,
      ...rowFeeds(engine, goals, columns, inputRows),
      // No bound is enough for all rows: that of each is as good as it gets.
      threshold: floats(engine, columns).fill(1e30),
    });
    return Float64Array.from(rows, (_, j) => {
      const value = (bound as Floats)[j] as number;
      return Number.isFinite(value) ? value : Number.NEGATIVE_INFINITY;
    });
  }

  async #slopesOf(hidden: HiddenBounds, rows: Polytope['unsafe']): Promise<Floats> {
    const { engine } = this;
    const { network: net } = engine;
    const plan = engine.plan(`slopes of a part ${rows.length}`, () => slopesPlan(engine, rows.length));
    const goals = rows.map(({ outputs }) => ({ coefficients: outputs }));
    const feeds: Record<string, Floats> = { ...rowFeeds(engine, goals, rows.length, false) };
    net.nodes.forEach(({ layer }, node) => {
      const own = hidden.get(node);
      if (!isNonlinear(layer) || own === undefined) return;
      feeds[nodeArray('lower', node)] = own.lower;
      feeds[nodeArray('upper', node)] = own.upper;
    });
    return (await engine.run(plan, feeds)).coefficients as Floats;
  }
}
