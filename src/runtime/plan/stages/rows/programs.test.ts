import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { evaluate, input } from '../../../../graph/index.js';
import { deviceForTests } from '../../../../testing/devices.js';
import { uniformNumbers } from '../../../../testing/numbers.js';
import type { Device } from '../../../device/device.js';
import { createExecutor } from '../../../execution/executor.js';
import { gradientName } from '../../step.js';
import { prefixSums, rowPrograms } from './programs.js';
import { rowIndices, selectRows } from './selection.js';
import { choosesOnDevice, type RowsData } from './stage.js';

const present = await deviceForTests();
const devices: Device[] = present === undefined ? ['cpu'] : ['cpu', present];

const cases = fc.record({
  channels: fc.integer({ min: 1, max: 4 }),
  places: fc.integer({ min: 1, max: 6 }),
  batch: fc.integer({ min: 1, max: 20 }),
  members: fc.integer({ min: 1, max: 3 }),
  rows: fc.integer({ min: 1, max: 9 }),
  share: fc.constantFrom(0, 0.1, 0.6, 1),
  all: fc.constantFrom(undefined, true as const),
  seed: fc.nat(1e6),
});

describe.each(devices)('rows chosen by programs on %s', (device) => {
  const executor = createExecutor({ device });
  afterAll(() => executor.close());

  it('are those that the host chooses, and their bounds and cotangents come where it puts them', async () => {
    let made = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ channels, places, batch, members, rows, share, all, seed }) => {
        const shape = [channels * places, batch] as const;
        const data: RowsData = {
          cheap: { lower: 'l', upper: 'u' },
          refined: { lower: 'L', upper: 'U' },
          shape,
          places,
          members,
          all,
          dtype: 'float32',
          passThrough: true,
        };
        const neurons = shape[0] * batch;
        const size = members * neurons;
        const random = uniformNumbers(`bounds ${seed}`, size);
        const lower = Float32Array.from(random, (x) => (x < share ? -x - 0.1 : x));
        const upper = lower.map((x, i) => x + 1 + i);
        const programs = rowPrograms(`rows ${made++}`, data, { lower: false, upper: false });
        const { order, rank, count } = (await executor.run(programs.select, { lower, upper })).outputs;
        const selection = selectRows(lower, upper, data);
        expect(Array.from(count as Float32Array)).toEqual(selection.map(({ length }) => length));

        const cotangents = {
          [gradientName('lower')]: lower.map((x) => 3 * x),
          [gradientName('upper')]: upper.map((x) => 5 * x),
        };
        let bounds = { lower, upper } as { lower: Float32Array; upper: Float32Array };
        const expected = { lower: lower.slice(), upper: upper.slice() };
        for (let start = 0; start < Math.max(...selection.map(({ length }) => length)); start += rows) {
          const { from, to, ...indices } = rowIndices(selection, start, rows, data);
          const at = { start: Int32Array.of(start), count: count as Float32Array };
          const found = (await executor.run(programs.indices(rows), { order: order as Float32Array, ...at }))
            .outputs;
          expect(found).toEqual(indices);
          const own = Float32Array.from({ length: members * rows }, (_, i) => 1000 * start + i + 1);
          const merged = await executor.run(programs.merge(rows), {
            ...bounds,
            rank: rank as Int32Array,
            start: at.start,
            'row lower': own,
            'row upper': own.map((x) => -x),
          });
          bounds = {
            lower: merged.outputs['merged lower'] as Float32Array,
            upper: merged.outputs['merged upper'] as Float32Array,
          };
          const picked = (
            await executor.run(programs.pick(rows), {
              ...cotangents,
              ...at,
              position: found.position as Int32Array,
            })
          ).outputs;
          const pickedHere = new Float32Array(members * rows);
          from.forEach((neuron, i) => {
            expected.lower[neuron] = own[to[i] as number] as number;
            expected.upper[neuron] = -(own[to[i] as number] as number);
            pickedHere[to[i] as number] = 3 * (lower[neuron] as number);
          });
          expect(picked['row ∂lower']).toEqual(pickedHere.map(Math.fround));
        }
        expect(bounds).toEqual(expected);
        const left = (await executor.run(programs.rest, { rank: rank as Int32Array, ...cotangents })).outputs[
          'left ∂upper'
        ] as Float32Array;
        const chosen = new Set(
          selection.flatMap((own, member) => Array.from(own, (neuron) => member * neurons + neuron)),
        );
        expect(left).toEqual(
          (cotangents[gradientName('upper')] as Float32Array).map((x, i) => (chosen.has(i) ? 0 : x)),
        );
      }),
      { numRuns: device === 'cpu' ? 40 : 3 },
    );
  });

  it('of bounds that members share are chosen for each of them', async () => {
    const data: RowsData = {
      cheap: { lower: 'l', upper: 'u' },
      refined: { lower: 'L', upper: 'U' },
      shape: [3, 2],
      places: 1,
      members: 2,
      dtype: 'float32',
      passThrough: false,
    };
    const programs = rowPrograms(`shared on ${device}`, data, { lower: true, upper: false });
    const lower = Float32Array.of(-1, 1, -1, -1, 2, -1);
    const upper = Float32Array.of(1, 2, 1, 1, 3, 1, 1, 2, -0.5, 1, 3, 1);
    const { count, ...made } = (await executor.run(programs.select, { lower, upper })).outputs;
    expect(count).toEqual(Float32Array.of(4, 3));
    expect(made['own lower']).toEqual(Float32Array.of(...lower, ...lower));
    expect(made['own upper']).toBeUndefined();
  });
});

describe('prefix sums', () => {
  it.each([1, 255, 256, 257, 3000, 70_000])('of %i numbers are the sums up to each', (n) => {
    const x = Float64Array.from(uniformNumbers('x', 2 * n), (value) => Math.round(value));
    const sums = evaluate([prefixSums(input('x', [2, n]))], { x })[0] as Float64Array;
    for (const row of [0, 1]) {
      let sum = 0;
      for (let i = 0; i < n; i++) {
        sum += x[row * n + i] as number;
        if (sums[row * n + i] !== sum) expect(sums[row * n + i]).toBe(sum);
      }
      expect(sum).toBeGreaterThan(n / 10 - 1);
    }
  });

  it('are left to the host where float32 or int32 do not hold the numbers', () => {
    const data = { dtype: 'float32', shape: [1024, 1024], members: 1 } as unknown as RowsData;
    expect(choosesOnDevice(data)).toBe(true);
    expect(choosesOnDevice({ ...data, dtype: 'float64' })).toBe(false);
    expect(choosesOnDevice({ ...data, shape: [2 ** 14, 2 ** 11] })).toBe(false);
    expect(choosesOnDevice({ ...data, members: 2 ** 10 })).toBe(false);
  });
});
