import { describe, expect, it } from 'vitest';
import { encodeSafetensors, type SafetensorsArray } from '../formats/safetensors.js';
import { keyOf } from '../runtime/random/keys.js';
import { type ArchitectureName, architecture } from './architectures.js';
import { initialize } from './initialization.js';
import {
  decodeParameters,
  encodeParameters,
  flatten,
  parameterCount,
  parameterLayout,
  views,
} from './parameters.js';

const net = architecture('cnn3', [1, 8, 8], 3);
const arrays = initialize(net, 'ibp', keyOf(1));
const layout = parameterLayout(net);
const file = (change: (tensors: Record<string, SafetensorsArray>) => void): Uint8Array => {
  const tensors = Object.fromEntries(
    layout.map(({ name, shape }): [string, SafetensorsArray] => [
      name,
      { dtype: 'float32', shape, data: arrays[name] as Float32Array },
    ]),
  );
  change(tensors);
  return encodeSafetensors(tensors);
};

describe('the flat parameter vector', () => {
  it('holds every array of the network once, without holes, in the order of the nodes', () => {
    expect(layout.map(({ name, shape }) => [name, shape])).toEqual([
      ['0.weight', [16, 1, 5, 5]],
      ['0.bias', [16]],
      ['2.weight', [32, 16, 4, 4]],
      ['2.bias', [32]],
      ['4.weight', [3, 128]],
      ['4.bias', [3]],
    ]);
    let end = 0;
    for (const { offset, size } of layout) {
      expect(offset).toBe(end);
      end += size;
    }
    expect(parameterCount(layout)).toBe(end);
  });

  it('gives back what was flattened, bit for bit, as views of the same memory', () => {
    const flat = flatten(arrays, layout);
    expect(views(flat, layout)).toEqual(arrays);
    const bias = views(flat, layout)['2.bias'] as Float32Array;
    bias[5] = 42;
    expect(flat[(layout[3]?.offset ?? 0) + 5]).toBe(42);
    expect(arrays['2.bias']?.[5]).not.toBe(42);
  });

  it('does not depend on the order in which the arrays come', () => {
    expect(flatten(Object.fromEntries(Object.entries(arrays).reverse()), layout)).toEqual(
      flatten(arrays, layout),
    );
  });

  it('refuses missing, unknown and wrongly sized arrays, and a vector of another length', () => {
    const { '2.bias': bias, ...rest } = arrays;
    expect(() => flatten(rest, layout)).toThrow(
      'expected the 6 arrays of the network, got 5; missing: 2.bias; unknown: none',
    );
    expect(() => flatten({ ...arrays, '9.weight': new Float32Array(1) }, layout)).toThrow(
      'missing: none; unknown: 9.weight',
    );
    expect(() => flatten({ ...rest, '2.bias': (bias as Float32Array).subarray(1) }, layout)).toThrow(
      'expected 32 values of 2.bias for shape [32], got 31',
    );
    expect(() => views(new Float32Array(7), layout)).toThrow(/expected \d+ coordinates, got 7/);
  });
});

describe('a parameter file', () => {
  it('gives back every bit of the arrays it was made from', () => {
    expect(decodeParameters(net, encodeParameters(net, arrays))).toEqual(arrays);
  });

  it('is refused in one line that says which arrays do not fit the network', () => {
    const cases: [Uint8Array, string][] = [
      [
        file((t) => delete t['4.bias']),
        'model.safetensors, for the network cnn3: expected the 6 arrays of the network, got 5; missing: 4.bias; unknown: none',
      ],
      [file((t) => Object.assign(t, { extra: t['4.bias'] })), 'unknown: extra'],
      [
        file((t) =>
          Object.assign(t, {
            '0.weight': { dtype: 'float32', shape: [16, 1, 25], data: arrays['0.weight'] as Float32Array },
          }),
        ),
        'model.safetensors: expected 0.weight of the network cnn3 to be float32 [16,1,5,5], got float32 [16,1,25]',
      ],
      [
        file((t) =>
          Object.assign(t, { '4.bias': { dtype: 'float64', shape: [3], data: new Float64Array(3) } }),
        ),
        'to be float32 [3], got float64 [3]',
      ],
    ];
    for (const [bytes, message] of cases)
      expect(() => decodeParameters(net, bytes, 'model.safetensors')).toThrow(message);
    expect(() => encodeParameters(net, {})).toThrow('missing: 0.weight');
  });

  it.each(['fc-small', 'cnn5'] as ArchitectureName[])(
    'of one architecture is refused by another (%s)',
    (name) => {
      expect(() => decodeParameters(architecture(name, [1, 8, 8], 3), encodeParameters(net, arrays))).toThrow(
        /missing: .+; unknown: |trained with another architecture/,
      );
    },
  );
});
