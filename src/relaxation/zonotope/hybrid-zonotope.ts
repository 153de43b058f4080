/**
 * HBox, hybrid zonotopes (Mirman et al. 2018, "Differentiable Abstract Interpretation for Provably Robust
 * Neural Networks", ICML).
 *
 * x = c + diag(β) ε₀ + E ε: the input's generators go through every layer as long as no unstable neuron cuts
 * them off. The ReLU on pre-activations [l, u]: active neurons (l > 0) pass, inactive ones are 0, unstable
 * ones become the box [0, u] of intervals: c = β = u/2 and a row of zeros in E. Smooth activations become λ x
 * + μ ± ν as in zonotopes, ν added to β. At least as tight as intervals, on every neuron.
 *
 * Centre c and box β go forwards, β by |W|. E is never made: a neuron's reach Σ|E| is that of its row,
 * back-substituted with slope 1 where a ReLU is active and 0 elsewhere, Σ|a| r at the input.
 */
import {
  abs,
  add,
  addAll,
  broadcastTo,
  constant,
  type FloatType,
  greater,
  input,
  mul,
  neg,
  relu,
  reshape,
  sub,
  sum,
  type Tensor,
  where,
} from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type NetworkNode, weightsOf } from '../../network/network.js';
import type { Stage } from '../../runtime/plan/plan.js';
import { activationStrip } from '../activation-lines.js';
import { withoutNormalization } from '../front.js';
import { intervalNode, marginsFromLogits } from '../interval.js';
import { backSubstitute, concretize } from '../linear/back-substitution.js';
import { fitsAtOnce, ofUnitRows } from '../linear/both-sides.js';
import { rowsApply } from '../linear/layer-bounds.js';
import { inMarginKernel } from '../linear/margin-run.js';
import { isNonlinear, type NonlinearLayer } from '../linear/nonlinear.js';
import { rowStages } from '../linear/row-bounds.js';
import { hybridRule, linesOf } from '../linear/row-rule.js';
import { cheapNames } from '../linear/row-target.js';
import { type BoundProblem, type Bounds, type Relaxation, specificationMargins } from '../relaxation.js';

/** What goes forwards: c and β ≥ 0, [features, batch]; no β is 0. */
interface Carried {
  readonly centre: Tensor;
  readonly box: Tensor | undefined;
}

function through({ centre, box }: Carried, bounds: Bounds, layer: NonlinearLayer): Carried {
  if (layer.kind === 'activation') {
    const { slope, centre: shift, radius } = activationStrip(layer.function, bounds);
    return {
      centre: add(mul(centre, slope), shift),
      box: box === undefined ? radius : add(mul(box, slope), radius),
    };
  }
  const active = greater(bounds.lower, 0);
  const half = mul(relu(bounds.upper), 0.5);
  const zero = constant(0, [], bounds.lower.dtype as FloatType);
  return { centre: where(active, centre, half), box: where(active, box ?? zero, half) };
}

/** The hybrid zonotopes of a problem's layers. */
class HybridLayers {
  readonly stages: Stage[] = [];
  readonly #problem: BoundProblem;
  readonly #carried = new Map<number, Carried>();
  /** Bounds of nodes that no activation or join precedes, and of what activations read. */
  readonly #bounds = new Map<number, Bounds>();

  constructor(problem: BoundProblem) {
    this.#problem = problem;
    const { box, network } = problem;
    this.#bounds.set(INPUT, box);
    this.#carried.set(INPUT, { centre: mul(add(box.lower, box.upper), 0.5), box: undefined });
    const read = new Set(
      network.nodes.filter(({ layer }) => isNonlinear(layer)).map(({ inputs }) => inputs[0] as number),
    );
    for (const node of network.nodes.keys()) {
      this.#carry(node);
      if (read.has(node)) this.#store(node);
    }
  }

  /** Lower bounds of rows [features, rows, batch] of the output, the last affine layer merged with them. */
  margins(rows: Tensor): Tensor {
    const { network: net, parameters } = this.#problem;
    const last = net.nodes.length - 1;
    const { layer, inputs } = net.nodes[last] as NetworkNode;
    const [classes, count, batch] = rows.shape as [number, number, number];
    const along = (coefficients: Tensor, x: Tensor) =>
      reshape(sum(mul(coefficients, reshape(x, [x.shape[0] as number, 1, batch])), [0]), [count, batch]);
    const { centre, box } = this.#carried.get(last) as Carried;
    const margins = sub(along(rows, centre), this.#reach(last, rows));
    if (box === undefined) return margins;
    const before = this.#carried.get(inputs[0] as number)?.box;
    if (layer.kind !== 'affine' || before === undefined) return sub(margins, along(abs(rows), box));
    const flat = reshape(rows, [classes, count * batch]);
    const merged = layer.adjoint(weightsOf(net, last, parameters), flat);
    return sub(margins, along(abs(reshape(merged, [merged.shape[0] as number, count, batch])), before));
  }

  /** Bounds of a node's output, densely. */
  boundsOf(node: number): Bounds {
    const { centre, box } = this.#carried.get(node) as Carried;
    const reach = this.#reachOfAll(node);
    const radius = box === undefined ? reach : add(reach, box);
    return { lower: sub(centre, radius), upper: add(centre, radius) };
  }

  #carry(node: number): void {
    const { network: net, parameters } = this.#problem;
    const { layer, inputs } = net.nodes[node] as NetworkNode;
    const from = inputs.map((k) => this.#carried.get(k) as Carried);
    const first = from[0] as Carried;
    const bounds = inputs.map((k) => this.#bounds.get(k));
    if (isNonlinear(layer)) {
      this.#carried.set(node, through(first, bounds[0] as Bounds, layer));
      return;
    }
    // Where branches join, intervals forget what they have in common.
    if (layer.kind !== 'join' && bounds.every((known) => known !== undefined))
      this.#bounds.set(node, intervalNode(net, parameters, node, bounds));
    if (layer.kind === 'join') {
      const boxes = from.flatMap(({ box }) => box ?? []);
      const box = boxes.length === 0 ? undefined : addAll(boxes);
      this.#carried.set(node, { centre: addAll(from.map(({ centre }) => centre)), box });
      return;
    }
    const weights = weightsOf(net, node, parameters);
    const box = first.box && layer.linear(layer.absolute(weights), first.box);
    this.#carried.set(node, { centre: layer.apply(weights, first.centre), box });
  }

  /** Ends a stage with what the next one needs of a node that an activation reads. */
  #store(node: number): void {
    const { network: net } = this.#problem;
    const { centre, box } = this.#carried.get(node) as Carried;
    const known = this.#bounds.get(node);
    const names = cheapNames({ rule: hybridRule, node });
    const [lower, upper] = [this.#input(node, names.lower), this.#input(node, names.upper)];
    if (known !== undefined) {
      // Intervals are exact there.
      this.stages.push({
        kind: 'whole',
        outputs: { [names.lower]: known.lower, [names.upper]: known.upper },
      });
      this.#bounds.set(node, { lower, upper });
      this.#carried.set(node, { centre: mul(add(lower, upper), 0.5), box: undefined });
      return;
    }
    const cheap =
      box === undefined
        ? { lower: centre, upper: centre }
        : { lower: sub(centre, box), upper: add(centre, box) };
    const refined = { lower: `hbox:${node}:-reach`, upper: `hbox:${node}:reach` };
    const at = (k: number) => this.#bounds.get(k) as Bounds;
    if (rowsApply(net, node))
      this.stages.push(
        ...rowStages({ problem: this.#problem, node, rule: hybridRule, at, cheap, refined, all: true }),
      );
    else
      this.stages.push({
        kind: 'whole',
        outputs: {
          [names.lower]: cheap.lower,
          [names.upper]: cheap.upper,
          [refined.upper]: this.#reachOfAll(node),
        },
      });
    const reach = this.#input(node, refined.upper);
    this.#bounds.set(node, { lower: sub(lower, reach), upper: add(upper, reach) });
    this.#carried.set(node, {
      centre: mul(add(lower, upper), 0.5),
      box: box && mul(sub(upper, lower), 0.5),
    });
  }

  #input(node: number, name: string): Tensor {
    const { network: net, box } = this.#problem;
    const features = featuresOf((net.nodes[node] as NetworkNode).layer.output);
    return input(name, [features, box.lower.shape[1] as number], box.lower.dtype);
  }

  /** Σ|a| r of rows [features, rows, batch] of a node's output, at the input; [rows, batch]. */
  #reach(node: number, rows: Tensor): Tensor {
    const { network: net, parameters, box } = this.#problem;
    const lines = (k: number) => {
      const from = (net.nodes[k] as NetworkNode).inputs[0] as number;
      return linesOf(net, k, this.#bounds.get(from) as Bounds, hybridRule);
    };
    const { coefficients } = backSubstitute(net, parameters, node, rows, lines);
    const radius = mul(sub(box.upper, box.lower), 0.5);
    const around = { lower: neg(radius), upper: radius };
    const reach = concretize({ coefficients, constant: undefined }, around);
    if (node < net.nodes.length - 1) return neg(reach);
    const slopes = (k: number) => {
      const { lower: alpha, upper: lambda } = lines(k);
      return { alpha, lambda, constant: 'all' } as const;
    };
    return neg(inMarginKernel(reach, { ...this.#problem, box: around }, rows, slopes, { linear: true }));
  }

  #reachOfAll(node: number): Tensor {
    const { network: net, box } = this.#problem;
    const features = featuresOf((net.nodes[node] as NetworkNode).layer.output);
    if (!fitsAtOnce(this.#problem, node))
      return ofUnitRows(this.#problem, node, (rows) => this.#reach(node, rows));
    const identity = new Float64Array(features * features);
    for (let i = 0; i < features; i++) identity[i * features + i] = 1;
    const rows = constant(identity, [features, features, 1], box.lower.dtype as FloatType);
    return this.#reach(node, broadcastTo(rows, [features, features, box.lower.shape[1] as number]));
  }
}

export const hybridZonotope: Relaxation = {
  name: 'hbox',
  differentiable: true,
  bound(original) {
    const problem = withoutNormalization(original);
    const { network: net, box, specification } = problem;
    const layers = new HybridLayers(problem);
    const { stages } = layers;
    if (problem.elision === false)
      return { stages, margins: marginsFromLogits(problem, layers.boundsOf(net.nodes.length - 1)) };
    const rows = specificationMargins(specification, net.classes, box.lower.dtype as FloatType);
    return { stages, margins: layers.margins(rows) };
  },
};
