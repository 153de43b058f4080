import { describe, expect, it } from 'vitest';
import { decodeOnnx } from '../../formats/onnx.js';
import { deriveKey, keyOf } from '../../runtime/random/keys.js';
import { randomImages, relativeDifference, runNetwork, runOnnx } from '../../testing/onnx-runs.js';
import { architecture, architectureNames } from '../architectures.js';
import { foldedNetwork } from '../folding.js';
import { initialize } from '../initialization.js';
import { convolutionLayer } from '../layers/convolution.js';
import { type Extents, featuresOf, joinLayer, reluLayer } from '../layers/layer.js';
import { linearLayer } from '../layers/linear.js';
import { scaleLayer } from '../layers/scale.js';
import { selectionLayer } from '../layers/selection.js';
import { chain, INPUT, type Network, network } from '../network.js';
import { exportOnnx } from './export.js';
import { importOnnx } from './import.js';

const NORMALIZATION = { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] };

/**
 * The largest relative difference of the exported file, run by ONNX Runtime, and of its re-import, from our
 * own program.
 */
async function differences(
  net: Network,
  input: Extents,
  batch: number,
): Promise<{ exported: number; imported: number }> {
  const key = keyOf(`${net.name} ${batch}`);
  const parameters = initialize(net, 'kaiming', key);
  const x = randomImages(deriveKey(key, 1, 0), batch, featuresOf(input));
  const bytes = exportOnnx(net, parameters);
  const back = importOnnx(bytes, 'exported');
  const [own, exported, imported] = [
    await runNetwork(net, parameters, x, batch),
    await runOnnx(bytes, x, batch, input),
    await runNetwork(back.network, back.parameters, x, batch),
  ];
  expect(Math.max(...own) - Math.min(...own)).toBeGreaterThan(1e-3); // not all the same number
  return { exported: relativeDifference(exported, own), imported: relativeDifference(imported, own) };
}

/** Two residual blocks, the second with a convolution on its skip and uneven padding, the input joined in. */
function residual(input: Extents): Network {
  const conv = (
    from: Extents,
    channels: number,
    kernel: number,
    stride: number,
    padding: readonly [number, number, number, number],
  ) => convolutionLayer(from, { channels, kernel: [kernel, kernel], stride: [stride, stride], padding });
  const same = [1, 1, 1, 1] as const;
  const first = conv(input, input[0], 3, 1, same);
  const down = conv(input, 4, 3, 2, [0, 1, 1, 0]);
  const skip = conv(input, 4, 1, 2, [0, 0, 0, 0]);
  return network('residual', input, [
    { layer: first, inputs: [INPUT] },
    { layer: joinLayer(input), inputs: [0, INPUT] },
    { layer: reluLayer(input), inputs: [1] },
    { layer: down, inputs: [2] },
    { layer: skip, inputs: [2] },
    { layer: joinLayer(down.output), inputs: [3, 4] },
    { layer: scaleLayer(down.output), inputs: [5] },
    { layer: reluLayer(down.output), inputs: [6] },
    { layer: linearLayer(down.output, 5), inputs: [7] },
  ]);
}

describe('an exported network', () => {
  for (const name of architectureNames)
    for (const batch of [1, 7])
      it(`gives, for ${name} and batch ${batch}, the logits of our own program in ONNX Runtime and when imported`, async () => {
        const input: Extents = [3, 8, 8];
        const { exported, imported } = await differences(
          foldedNetwork(architecture(name, input, 10, NORMALIZATION)),
          input,
          batch,
        );
        expect(exported).toBeLessThan(1e-5);
        expect(imported).toBeLessThan(1e-5);
      });

  it('may have residual branches, uneven padding and element-wise scales', async () => {
    const input: Extents = [2, 8, 8];
    const { exported, imported } = await differences(residual(input), input, 3);
    expect(exported).toBeLessThan(1e-5);
    expect(imported).toBeLessThan(1e-5);
  });

  it('comes back from its file with the same layers and the same weights, bit for bit', () => {
    const input: Extents = [3, 8, 8];
    const net = architecture('cnn3', input, 10, NORMALIZATION);
    const parameters = initialize(net, 'kaiming', keyOf(3));
    const back = importOnnx(exportOnnx(net, parameters), 'exported');
    expect(back.parameters).toEqual(parameters);
    expect(back.network.name).toBe('cnn3');
    expect(
      back.network.nodes.map(({ layer, inputs }) => [layer.name, layer.input, layer.output, inputs]),
    ).toEqual(net.nodes.map(({ layer, inputs }) => [layer.name, layer.input, layer.output, inputs]));
  });

  it('names its initialisers as the parameters and says what it was trained for', () => {
    const net = architecture('cnn3', [1, 8, 8], 10);
    const parameters = initialize(net, 'kaiming', keyOf(4));
    const model = decodeOnnx(
      exportOnnx(net, parameters, {
        epsilon: 0.1,
        dataset: 'mnist',
        description: 'trained with RGS',
        metadata: { relaxation: 'crown' },
      }),
    );
    expect(model.initializers.map(({ name }) => name).sort()).toEqual(Object.keys(parameters).sort());
    expect(model.metadata).toEqual({
      architecture: 'cnn3',
      epsilon: '0.1',
      dataset: 'mnist',
      relaxation: 'crown',
    });
    expect(model.description).toBe('trained with RGS');
    expect([model.inputs, model.outputs]).toEqual([
      [{ name: 'input', type: 'FLOAT', shape: ['batch', 1, 8, 8] }],
      [{ name: 'logits', type: 'FLOAT', shape: ['batch', 10] }],
    ]);
  });

  it('refuses layers that have no form here by name', () => {
    const net = chain('turned', [2, 1, 1], [selectionLayer([2, 1, 1], [2, 1, 1], Int32Array.of(1, 0))]);
    expect(() => exportOnnx(net, {})).toThrow(
      /^ONNX export of turned: expected layers normalize, .* or join, got selection at node 0$/,
    );
  });

  it('needs every parameter in its size', () => {
    const net = architecture('fc-small', [1, 2, 2], 3);
    const parameters = initialize(net, 'kaiming', keyOf(5));
    const { '0.bias': bias, ...others } = parameters;
    expect(() => exportOnnx(net, others)).toThrow(
      'ONNX export of fc-small: expected parameter 0.bias of 100 values, got none',
    );
    expect(() => exportOnnx(net, { ...others, '0.bias': (bias as Float32Array).slice(1) })).toThrow(
      /0\.bias of 100 values, got 99 values/,
    );
  });
});
