/** Integers as floats. */
import { apply, type FloatType, fail, type Operator, type Tensor } from '../tensor.js';
import { liftElementwise } from './member-axis.js';

/** ONNX's numbers for element types. */
const ELEMENT_TYPE: Readonly<Record<FloatType, number>> = { float32: 1, float64: 11 };

const castOperator: Operator = {
  name: 'Cast',
  infer(inputs, attributes) {
    const [x] = inputs as [Tensor];
    if (x.dtype !== 'int32') fail('Cast', 'int32 values', inputs);
    return { shape: x.shape, dtype: attributes.dtype as FloatType };
  },
  encode: (node, inputs, emit) => emit.node('Cast', inputs, { to: { int: ELEMENT_TYPE[node.dtype as FloatType] } }),
  gradient: () => [undefined],
  lift: liftElementwise,
  evaluate: (_, [x]) => (x as Float64Array).slice(),
};
/** int32 values as floats: exact in float64, rounded to 24 bits in float32 (a device may round down). They have no derivative. */
export const toFloat = (x: Tensor, dtype: FloatType = 'float32'): Tensor => apply(castOperator, [x], { dtype });
