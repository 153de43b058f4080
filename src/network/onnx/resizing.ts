/** Resize and Upsample by whole factors to the nearest neighbour: features repeated, nothing computed. */
import { alongAxes, batchAxisOf } from './arrangement.js';
import type { Value } from './draft.js';
import {
  axisOf,
  type Call,
  fileShape,
  floats,
  integerList,
  type OperatorReader,
  refuse,
  SYMBOLIC_BATCH,
  text,
} from './operator.js';

/** A place between those of the input, as a fraction of whole numbers. */
type Fraction = readonly [numerator: number, denominator: number];

/** Places of the input that a place of the output stands at, by the standard's names. */
const COORDINATES: Readonly<Record<string, (at: number, factor: number, extent: number) => Fraction>> = {
  half_pixel: (at, factor) => [2 * at + 1 - factor, 2 * factor],
  half_pixel_symmetric: (at, factor) => [2 * at + 1 - factor, 2 * factor],
  pytorch_half_pixel: (at, factor, extent) =>
    factor * extent > 1 ? [2 * at + 1 - factor, 2 * factor] : [0, 1],
  asymmetric: (at, factor) => [at, factor],
  align_corners: (at, factor, extent) =>
    factor * extent > 1 ? [at * (extent - 1), factor * extent - 1] : [0, 1],
};

/** The nearest whole number, by the standard's names. */
const NEAREST: Readonly<Record<string, (place: Fraction) => number>> = {
  round_prefer_floor: ([n, d]) => Math.ceil((2 * n - d) / (2 * d)),
  round_prefer_ceil: ([n, d]) => Math.floor((2 * n + d) / (2 * d)),
  floor: ([n, d]) => Math.floor(n / d),
  ceil: ([n, d]) => Math.ceil(n / d),
};

/** The whole factor of each axis. */
function factorsOf(call: Call, value: Value, scales: number, sizes?: number): number[] {
  const shape = fileShape(value);
  const batch = batchAxisOf(call, value);
  const attribute = call.node.attributes.scales;
  const given =
    attribute && 'floats' in attribute
      ? [...attribute.floats]
      : call.inputs[scales] === undefined
        ? []
        : [...floats(call, scales).values];
  const targets = sizes !== undefined && call.inputs[sizes] !== undefined ? integerList(call, sizes) : [];
  const factors =
    given.length > 0
      ? given
      : targets.map((extent, i) =>
          i === batch && (extent === call.batch || extent === SYMBOLIC_BATCH)
            ? 1
            : extent / (shape[i] as number),
        );
  if (
    factors.length !== shape.length ||
    !factors.every((factor) => Number.isSafeInteger(factor) && factor >= 1)
  )
    refuse(call, `one whole factor for each of ${shape.length} axes`, `[${factors.join(',')}]`);
  return factors;
}

/** Features repeated: place i of an axis is the nearest one of the input. */
function repeated(
  call: Call,
  value: Value,
  factors: readonly number[],
  nearest: (at: number, factor: number, extent: number) => number,
): Value {
  const shape = fileShape(value);
  const maps = new Map<number, number[]>();
  factors.forEach((factor, given) => {
    const axis = axisOf(call, given, shape.length);
    const extent = shape[axis] as number;
    if (factor === 1) return;
    if (extent * factor > LARGEST_AXIS)
      refuse(call, `an axis of at most ${LARGEST_AXIS}`, `${extent * factor}`);
    const entry = (at: number) => Math.min(extent - 1, Math.max(0, nearest(at, factor, extent)));
    maps.set(
      axis,
      Array.from({ length: extent * factor }, (_, at) => entry(at)),
    );
  });
  return alongAxes(call, value, maps);
}

/** Longest axis that is made. */
const LARGEST_AXIS = 2 ** 22;

const operand = (call: Call): Value => call.inputs[0] ?? refuse(call, 'an input', 'none');

function checkMode(call: Call): void {
  const mode = text(call, 'mode', 'nearest');
  if (mode !== 'nearest') refuse(call, 'mode nearest', mode);
}

const resize: OperatorReader = {
  attributes: [
    'coordinate_transformation_mode',
    'cubic_coeff_a',
    'exclude_outside',
    'extrapolation_value',
    'mode',
    'nearest_mode',
  ],
  read(call) {
    checkMode(call);
    const value = operand(call);
    // Version 10 has the factors where later ones have a region of interest.
    const early = call.node.inputs.length === 2;
    const factors = factorsOf(call, value, early ? 1 : 2, early ? undefined : 3);
    const where = text(call, 'coordinate_transformation_mode', early ? 'asymmetric' : 'half_pixel');
    const how = text(call, 'nearest_mode', early ? 'floor' : 'round_prefer_floor');
    const placeOf =
      COORDINATES[where] ?? refuse(call, `coordinates ${Object.keys(COORDINATES).join(', ')}`, where);
    const round = NEAREST[how] ?? refuse(call, `nearest_mode ${Object.keys(NEAREST).join(', ')}`, how);
    return repeated(call, value, factors, (at, factor, extent) => round(placeOf(at, factor, extent)));
  },
};

const upsample: OperatorReader = {
  attributes: ['mode', 'scales'],
  read(call) {
    checkMode(call);
    const value = operand(call);
    const factors = factorsOf(call, value, 1);
    return repeated(call, value, factors, (at, factor) => Math.floor(at / factor));
  },
};

export const resizingOperators: Readonly<Record<string, OperatorReader>> = {
  Resize: resize,
  Upsample: upsample,
};
