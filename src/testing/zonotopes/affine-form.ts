/**
 * Affine forms x = c + E ε + diag(β) ε₀ of every activation, ε and ε₀ in [−1, 1]: what zonotopes and hybrid
 * zonotopes share.
 *
 * Affine layers map them exactly (but for β, which |W| carries: its correlations are lost), branches add up;
 * only ReLUs and smooth activations differ. The input's box becomes one generator per feature, of its radius:
 * fixed pixels keep a column of zeros, so that shapes are static.
 */
import { abs, add, addAll, type FloatType, mul, reshape, sub, sum, type Tensor } from '../../graph/index.js';
import { INPUT, type NetworkNode, weightsOf } from '../../network/network.js';
import { marginsFromLogits } from '../../relaxation/interval.js';
import { isNonlinear, type NonlinearLayer } from '../../relaxation/linear/nonlinear.js';
import { type BoundProblem, type Bounds, specificationMargins } from '../../relaxation/relaxation.js';
import {
  addGenerators,
  affineGenerators,
  type Generators,
  generatorRadius,
  rowRadius,
} from './generators.js';

/** A set of activations of each image. */
export interface AffineForm {
  /** c, [features, batch] */
  readonly centre: Tensor;
  /** E */
  readonly generators: Generators;
  /** β ≥ 0, [features, batch]; undefined for none. */
  readonly box: Tensor | undefined;
}

/**
 * The form of an activation's output from that of its input, the input's bounds, the activation and its node
 * number.
 */
export type NonlinearRule = (
  form: AffineForm,
  bounds: Bounds,
  layer: NonlinearLayer,
  node: number,
) => AffineForm;

/** c ∓ (Σ|E| + β), [features, batch] each. */
export function formBounds({ centre, generators, box }: AffineForm): Bounds {
  const reach = generatorRadius(generators);
  const radius = box === undefined ? reach : add(reach, box);
  return { lower: sub(centre, radius), upper: add(centre, radius) };
}

/** The form of every node's output. */
export function affineForms(
  { network: net, parameters, box }: BoundProblem,
  through: NonlinearRule,
): AffineForm[] {
  const halfWidth = mul(sub(box.upper, box.lower), 0.5);
  const input: AffineForm = {
    centre: mul(add(box.lower, box.upper), 0.5),
    generators: new Map([[INPUT, { kind: 'diagonal', entries: halfWidth }]]),
    box: undefined,
  };
  const forms: AffineForm[] = [];
  net.nodes.forEach(({ layer, inputs }, node) => {
    const from = inputs.map((k) => (k === INPUT ? input : (forms[k] as AffineForm)));
    const first = from[0] as AffineForm;
    if (isNonlinear(layer)) forms.push(through(first, formBounds(first), layer, node));
    else if (layer.kind === 'join') {
      const boxes = from.flatMap((form) => form.box ?? []);
      forms.push({
        centre: addAll(from.map(({ centre }) => centre)),
        generators: addGenerators(from.map(({ generators }) => generators)),
        box: boxes.length === 0 ? undefined : addAll(boxes),
      });
    } else {
      const weights = weightsOf(net, node, parameters);
      forms.push({
        centre: layer.apply(weights, first.centre),
        generators: affineGenerators(layer, weights, first.generators),
        box: first.box && layer.linear(layer.absolute(weights), first.box),
      });
    }
  });
  return forms;
}

/**
 * Lower bounds of the specification's rows a, [rows, batch]: aᵀc − Σ|aᵀE| − |Wᵀa|β with the last affine
 * layer's W and the β before it; without elision from the bounds of the logits.
 */
export function formMargins(problem: BoundProblem, forms: readonly AffineForm[]): Tensor {
  const { network: net, parameters, specification } = problem;
  const last = forms.at(-1) as AffineForm;
  if (problem.elision === false) return marginsFromLogits(problem, formBounds(last));
  const [classes, batch] = last.centre.shape as [number, number];
  const rows = specificationMargins(specification, classes, last.centre.dtype as FloatType);
  const count = rows.shape[1] as number;
  const along = (coefficients: Tensor, x: Tensor) =>
    reshape(sum(mul(coefficients, reshape(x, [x.shape[0] as number, 1, batch])), [0]), [count, batch]);
  const margins = sub(along(rows, last.centre), rowRadius(last.generators, rows));
  if (last.box === undefined) return margins;
  const { layer, inputs } = net.nodes.at(-1) as NetworkNode;
  const before = inputs[0] === INPUT ? undefined : forms[inputs[0] as number];
  if (layer.kind !== 'affine' || before?.box === undefined) return sub(margins, along(abs(rows), last.box));
  const merged = layer.adjoint(
    weightsOf(net, net.nodes.length - 1, parameters),
    reshape(rows, [classes, count * batch]),
  );
  return sub(margins, along(abs(reshape(merged, [merged.shape[0] as number, count, batch])), before.box));
}
