import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunks, ofMembers, rowIndices, selectRows } from './selection.js';
import type { RowsData } from './stage.js';

const stage = (members: number, channels: number, places: number, batch: number, all = false): RowsData => ({
  cheap: { lower: 'l', upper: 'u' },
  refined: { lower: 'L', upper: 'U' },
  shape: [channels * places, batch],
  places,
  dtype: 'float64',
  members,
  all,
  passThrough: false,
});

const sizes = fc.tuple(...[3, 3, 4, 3].map((max) => fc.integer({ min: 1, max })));

describe('rows of a population', () => {
  it('are every unstable neuron of every member once, whatever the capacities, with the indices of its channel, place and image', () => {
    fc.assert(
      fc.property(
        sizes,
        fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
        fc.boolean(),
        (shape, numbers, all) => {
          const [members, channels, places, batch] = shape as [number, number, number, number];
          const data = stage(members, channels, places, batch, all);
          const size = channels * places * batch;
          const lower = Float64Array.from({ length: members * size }, () => numbers.next().value as number);
          const upper = lower.map((l) => l + Math.abs(numbers.next().value as number));
          const selection = selectRows(lower, upper, data);
          const met = new Set<number>();
          for (const { start, rows } of chunks(
            Math.max(...selection.map(({ length }) => length)),
            [2, 5].map((r) => ({ rows: r, program: r })),
          )) {
            const { from, to, channel, place, position } = rowIndices(selection, start, rows, data);
            expect(channel.length).toBe(members * rows);
            from.forEach((at, i) => {
              expect(met.has(at)).toBe(false);
              met.add(at);
              const row = to[i] as number;
              const [member, neuron] = [Math.floor(at / size), at % size];
              expect(Math.floor(row / rows)).toBe(member);
              expect(position[row]).toBe(neuron);
              const feature = Math.floor(neuron / batch);
              expect([channel[row], place[row]]).toEqual([
                Math.floor(feature / places),
                (feature % places) * batch + (neuron % batch),
              ]);
            });
          }
          const unstable = [...lower.keys()].filter(
            (at) => all || ((lower[at] as number) < 0 && (upper[at] as number) > 0),
          );
          expect([...met].sort((a, b) => a - b)).toEqual(unstable);
        },
      ),
    );
  });

  it.each([
    [0, []],
    [3, [512]],
    [1522, [512, 512, 512]],
    [3900, [4096]],
    [4096 + 600, [4096, 512, 512]],
  ])('fill the largest program while they can, then what costs least: %d rows in %j', (count, expected) => {
    const programs = [512, 4096].map((rows, program) => ({ rows, program }));
    expect(chunks(count, programs).map(({ rows }) => rows)).toEqual(expected);
    // One program after the other is what costs on a device.
    expect(chunks(count, programs, 'device')).toHaveLength(Math.ceil(count / 4096));
  });

  it('take bounds that members share as every member’s', () => {
    expect(ofMembers(Float32Array.of(1, 2), 6)).toEqual(Float32Array.of(1, 2, 1, 2, 1, 2));
    const own = Float32Array.of(1, 2);
    expect(ofMembers(own, 2)).toBe(own);
  });
});
