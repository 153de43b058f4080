/** Integers as floats, and floats as integers. */
import { apply, type FloatType, fail, isFloat, type Operator, type Tensor } from '../tensor.js';
import { liftElementwise } from './member-axis.js';

/** ONNX's numbers for element types. */
const ELEMENT_TYPE: Readonly<Record<FloatType | 'int32', number>> = { float32: 1, float64: 11, int32: 6 };

const castOperator: Operator = {
  name: 'Cast',
  infer(inputs, attributes) {
    const [x] = inputs as [Tensor];
    const dtype = attributes.dtype as FloatType | 'int32';
    if (dtype === 'int32' ? !isFloat(x.dtype) : x.dtype !== 'int32')
      fail('Cast', dtype === 'int32' ? 'floats' : 'int32 values', inputs);
    return { shape: x.shape, dtype };
  },
  encode: (node, inputs, emit) =>
    emit.node('Cast', inputs, { to: { int: ELEMENT_TYPE[node.dtype as FloatType | 'int32'] } }),
  gradient: () => [undefined],
  lift: liftElementwise,
  evaluate: ({ dtype }, [x]) =>
    dtype === 'int32' ? (x as Float64Array).map(Math.trunc) : (x as Float64Array).slice(),
};
/**
 * int32 values as floats: exact in float64, rounded to 24 bits in float32 (a device may round down). They
 * have no derivative.
 */
export const toFloat = (x: Tensor, dtype: FloatType = 'float32'): Tensor =>
  apply(castOperator, [x], { dtype });
/** Floats without their fractions, as int32. They have no derivative. */
export const toInt = (x: Tensor): Tensor => apply(castOperator, [x], { dtype: 'int32' });
