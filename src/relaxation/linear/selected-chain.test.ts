import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mul } from '../../graph/index.js';
import { convolutionLayer } from '../../network/layers/convolution.js';
import { joinLayer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { scaleLayer } from '../../network/layers/scale.js';
import { selectionLayer } from '../../network/layers/selection.js';
import { INPUT, type Network, network, parameterName } from '../../network/network.js';
import { boundProblem, runStages } from '../../testing/bound-programs.js';
import { normalNumbers } from '../../testing/numbers.js';
import { crownRowsApply, layerBounds } from './layer-bounds.js';
import { crownRule } from './row-rule.js';

/** Two branches over parts of the input, each two convolutions, that are joined by a linear layer. */
function branches(rows: number, features: number, channels: number): Network {
  const size = 2 * rows * features;
  const branch = (start: number, first: number) => {
    const table = Int32Array.from({ length: rows * features }, (_, i) => start + i);
    const flat = [channels, rows, 1] as const;
    return [
      { layer: selectionLayer([size, 1, 1], [1, rows, features], table), inputs: [INPUT] },
      { layer: convolutionLayer([1, rows, features], { channels, kernel: [1, features] }), inputs: [first] },
      { layer: reluLayer(flat), inputs: [first + 1] },
      { layer: convolutionLayer(flat, { channels, kernel: [1, 1] }), inputs: [first + 2] },
      { layer: reluLayer(flat), inputs: [first + 3] },
      { layer: scaleLayer(flat), inputs: [first + 4] },
    ];
  };
  const flat = [channels, rows, 1] as const;
  return network(
    'branches',
    [size, 1, 1],
    [
      ...branch(0, 0),
      ...branch(rows * features, 6),
      { layer: joinLayer(flat), inputs: [5, 11] },
      { layer: linearLayer(flat, 3), inputs: [12] },
      { layer: reluLayer([3, 1, 1]), inputs: [13] },
    ],
  );
}

test('rows that end at a selection bound neurons as dense back-substitution does', async () => {
  const sizes = fc.integer({ min: 1, max: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 2 ** 30 }),
      sizes,
      sizes,
      sizes,
      async (seed, rows, features, channels) => {
        const net = branches(rows, features, channels);
        expect([crownRowsApply(net, 3), crownRowsApply(net, 9), crownRowsApply(net, 13)]).toEqual([
          true,
          true,
          false,
        ]);
        const centre = normalNumbers(`centre ${seed}`, 2 * rows * features);
        const feeds: Record<string, Float64Array> = {
          lower: centre.map((v) => v - 0.3),
          upper: centre.map((v) => v + 0.3),
        };
        net.nodes.forEach(({ layer }, node) => {
          for (const { name, shape } of layer.parameters)
            feeds[parameterName(node, name)] = normalNumbers(
              `${seed} ${node} ${name}`,
              shape.reduce((a, b) => a * b, 1),
            );
        });
        const boundsBy = async (selects: boolean) => {
          const layers = layerBounds(boundProblem(net, 1), { ...crownRule, selects }, true);
          const read = [1, 3, 7, 9, 13].map((node) => layers.at(node));
          const outputs = Object.fromEntries(
            read.flatMap(({ lower, upper }, k) => [
              [`lower ${k}`, mul(lower, 1)],
              [`upper ${k}`, mul(upper, 1)],
            ]),
          );
          const [result] = await runStages([...layers.stages, { kind: 'whole', outputs }], [feeds]);
          return result?.outputs as Readonly<Record<string, Float64Array>>;
        };
        const [byRows, densely] = [await boundsBy(true), await boundsBy(false)];
        for (const [name, values] of Object.entries(densely))
          values.forEach((value, i) => {
            expect(byRows[name]?.[i]).toBeCloseTo(value, 9);
          });
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);
