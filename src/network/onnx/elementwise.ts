/** Relu, joins, arithmetic with constants, and batch normalisation at inference. */
import { type Activation, append, elementwiseAffine, extentsOf, sizeOf, type Value } from './draft.js';
import { activation, type Call, describeValue, floats, integer, type OperatorReader, real, refuse } from './operator.js';

/** A constant input as one value per feature of x [batch, …shape], by ONNX broadcasting; it may not enlarge x or differ along the batch. */
function perFeature(call: Call, index: number, { shape }: Activation): Float64Array {
  const { shape: from, values } = floats(call, index);
  const full = [1, ...shape];
  const aligned = [...Array(Math.max(0, full.length - from.length)).fill(1), ...from] as number[];
  if (aligned.length !== full.length || aligned.some((extent, i) => extent !== 1 && extent !== full[i]))
    refuse(call, `a constant that broadcasts to [batch,${shape.join(',')}]`, `[${from.join(',')}]`);
  const strides = aligned.map((extent, i) => (extent === 1 ? 0 : sizeOf(aligned.slice(i + 1))));
  const out = new Float64Array(sizeOf(shape));
  for (let i = 0; i < out.length; i++) {
    let rest = i;
    let offset = 0;
    for (let axis = full.length - 1; axis > 0; axis--) {
      const extent = full[axis] as number;
      offset += (rest % extent) * (strides[axis] as number);
      rest = Math.floor(rest / extent);
    }
    out[i] = values[offset] as number;
  }
  return out;
}

/** One feature's s and t of x ↦ s·x + t, where c is the constant operand. */
type Rule = (c: number, constantFirst: boolean) => readonly [scale: number, shift: number] | undefined;

/** Arithmetic of an activation and a constant, in either order. */
function withConstant(call: Call, rule: Rule): Activation {
  const constantFirst = call.inputs[0]?.kind === 'constant';
  const x = activation(call, constantFirst ? 1 : 0);
  const c = perFeature(call, constantFirst ? 0 : 1, x);
  const scale = new Float64Array(c.length);
  const shift = new Float64Array(c.length);
  c.forEach((value, i) => {
    const [s, t] = rule(value, constantFirst) ?? refuse(call, 'a constant to divide by', 'a constant divided by an activation, which is not affine');
    scale[i] = s;
    shift[i] = t;
  });
  return elementwiseAffine(call.draft, x, scale, shift);
}

const arithmetic = (rule: Rule): OperatorReader => ({
  attributes: [],
  read(call) {
    if (call.inputs.filter((value) => value?.kind === 'activation').length > 1)
      refuse(call, 'a constant operand', `${call.inputs.map(describeValue).join(' and ')}`);
    return withConstant(call, rule);
  },
});

/** The sum of activations of one shape. */
function join(call: Call): Activation {
  const terms = call.inputs.map((_, i) => activation(call, i));
  const first = terms[0] as Activation;
  if (terms.some(({ shape }) => shape.length !== first.shape.length || shape.some((extent, i) => extent !== first.shape[i])))
    refuse(call, 'activations of one shape', call.inputs.map(describeValue).join(' and '));
  if (terms.length === 1) return first;
  return append(call.draft, { kind: 'join', inputs: terms.map(({ node }) => node), output: extentsOf(first.shape) }, first.shape);
}

const isActivation = (value: Value | undefined): boolean => value?.kind === 'activation';

const add: OperatorReader = {
  attributes: [],
  read: (call) => (call.inputs.every(isActivation) ? join(call) : withConstant(call, (c) => [1, c])),
};

const relu: OperatorReader = {
  attributes: [],
  read(call) {
    const x = activation(call);
    return append(call.draft, { kind: 'relu', inputs: [x.node], output: extentsOf(x.shape) }, x.shape);
  },
};

/** y = γ (x − μ)/√(σ² + ϵ) + β per channel, with the statistics in the file (Ioffe, Szegedy 2015, arXiv 1502.03167). */
const batchNormalization: OperatorReader = {
  attributes: ['epsilon', 'momentum', 'spatial', 'training_mode'],
  read(call) {
    const x = activation(call);
    const channels = x.shape[0] as number;
    if (integer(call, 'training_mode', 0) !== 0 || call.node.outputs.filter((name) => name !== '').length > 1)
      refuse(call, 'inference', 'training mode; export the model in evaluation mode');
    if (integer(call, 'spatial', 1) !== 1) refuse(call, 'statistics per channel', 'statistics per feature (spatial 0)');
    const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) => {
      const { shape, values } = floats(call, index);
      if (shape.length !== 1 || values.length !== channels) refuse(call, `input ${index} of ${channels} values`, `[${shape.join(',')}]`);
      return values;
    }) as [Float64Array, Float64Array, Float64Array, Float64Array];
    const epsilon = real(call, 'epsilon', 1e-5);
    const factors = gamma.map((g, c) => g / Math.sqrt((variance[c] as number) + epsilon));
    if (!factors.every(Number.isFinite)) refuse(call, 'variances that are not negative', `a factor of ${factors.find((f) => !Number.isFinite(f))}`);
    const area = sizeOf(x.shape) / channels;
    const spread = (value: (channel: number) => number) => Float64Array.from({ length: sizeOf(x.shape) }, (_, i) => value(Math.floor(i / area)));
    return elementwiseAffine(
      call.draft,
      x,
      spread((c) => factors[c] as number),
      spread((c) => (beta[c] as number) - (mean[c] as number) * (factors[c] as number)),
    );
  },
};

export const elementwiseOperators: Readonly<Record<string, OperatorReader>> = {
  Add: add,
  Sum: { attributes: [], read: join },
  Sub: arithmetic((c, first) => (first ? [-1, c] : [1, -c])),
  Mul: arithmetic((c) => [c, 0]),
  Div: arithmetic((c, first) => (first ? undefined : [1 / c, 0])),
  Relu: relu,
  BatchNormalization: batchNormalization,
};
