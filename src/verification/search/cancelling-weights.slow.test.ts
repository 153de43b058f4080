/**
 * Weights chosen against float32 (Jia & Rinard 2021, arXiv 2003.03021; Zombori et al. 2021, "Fooling a
 * Complete Neural Network Verifier"): large terms that cancel take with them what the input does, so that
 * bounds computed carelessly prove what is false of the real-number function.
 *
 * Every network here computes y = ½ − x on [0, END], by way of numbers of size ω.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { Network } from '../../network/network.js';
import type { ParameterArrays } from '../../network/parameters.js';
import { createPool } from '../../runtime/pool/pool.js';
import { propertyCases, safe } from '../../testing/property-cases.js';
import { denseNetwork } from '../../testing/searches.js';
import { verify } from './verify.js';

const pool = createPool(1);
afterAll(() => pool.close());

const f = (...values: number[]): Float32Array => Float32Array.from(values);
interface Built {
  readonly network: Network;
  readonly parameters: ParameterArrays;
}

const patterns: Readonly<Record<string, (omega: number) => Built>> = {
  'large biases: ½ − relu(x + ω) + relu(ω)': (omega) => ({
    network: denseNetwork(1, 2, 1),
    parameters: { '0.weight': f(1, 0), '0.bias': f(omega, omega), '2.weight': f(-1, 1), '2.bias': f(0.5) },
  }),
  'a layer later: ½ − relu(relu(x) + ω) + relu(ω)': (omega) => ({
    network: denseNetwork(1, 2, 2, 1),
    parameters: {
      ...{ '0.weight': f(1, 0), '0.bias': f(0, 0), '2.weight': f(1, 0, 0, 0), '2.bias': f(omega, omega) },
      ...{ '4.weight': f(-1, 1), '4.bias': f(0.5) },
    },
  }),
  'weights that shrink and grow: ½ − ω relu(x / ω + 1) + ω relu(1)': (omega) => ({
    network: denseNetwork(1, 2, 1),
    parameters: {
      '0.weight': f(1 / omega, 0),
      '0.bias': f(1, 1),
      '2.weight': f(-omega, omega),
      '2.bias': f(0.5),
    },
  }),
  'a pair that cancels too: ½ − relu(relu(x) + ω relu(x − ¼) − ω relu(x − ¼) + ω) + relu(ω)': (omega) => ({
    network: denseNetwork(1, 3, 2, 1),
    parameters: {
      ...{
        '0.weight': f(1, 1, 1),
        '0.bias': f(0, -0.25, -0.25),
        '2.weight': f(1, omega, -omega, 0, 0, 0),
        '2.bias': f(omega, omega),
      },
      ...{ '4.weight': f(-1, 1), '4.bias': f(0.5) },
    },
  }),
};

/** The answer to y ≤ ½ − END + depth, which inputs above END − depth fulfil. */
const answerTo = ({ network, parameters }: Built, depth: number, sound: boolean, timeoutSeconds = 1.5) =>
  verify({
    network,
    parameters,
    property: {
      inputs: 1,
      outputs: 1,
      polytopes: [
        {
          box: { lower: Float64Array.of(0), upper: Float64Array.of(END) },
          unsafe: [{ outputs: Float64Array.of(1), bound: 0.5 - END + depth }],
        },
      ],
    },
    pool,
    sound,
    timeoutSeconds,
  });

const SIZES = [2 ** 6, 2 ** 16, 2 ** 25, 1e12] as const;
const END = Math.fround(0.6937);
const DEPTHS = [0.25, 1e-3];
/** Beside outputs of size ½: what the allowance of the default arithmetic covers. */
const COVERED = 2 ** 6;

describe.each(Object.entries(patterns))('%s', (_, build) => {
  it('is not proved with sound arithmetic, whatever ω', async () => {
    for (const omega of SIZES)
      for (const depth of DEPTHS)
        expect((await answerTo(build(omega), depth, true)).verdict, `ω = ${omega}`).not.toBe('unsat');
  });

  it('is refuted by default while ω is what rounding allows for', async () => {
    const wrong: string[] = [];
    for (const omega of SIZES)
      for (const depth of DEPTHS) {
        const { verdict, stage } = await answerTo(
          build(omega),
          depth,
          false,
          omega <= COVERED ? 30 : undefined,
        );
        if (omega <= COVERED) expect(verdict).toBe('sat');
        else if (verdict === 'unsat') wrong.push(`ω = ${omega}, depth ${depth}: ${stage}`);
      }
    console.info(`default arithmetic proves what is false ${wrong.length} times: ${wrong.join('; ')}`);
  });
});

it('sound arithmetic still proves what is true of ordinary networks', async () => {
  for (const net of [denseNetwork(3, 8, 2), denseNetwork(4, 6, 6, 3)])
    for (const of of await propertyCases(net, 12, 4)) {
      const property = {
        inputs: of.polytope.box.lower.length,
        outputs: net.classes,
        polytopes: [safe(of, 0.02)],
      };
      expect(
        (
          await verify({
            network: net,
            parameters: of.parameters,
            property,
            pool,
            sound: true,
            timeoutSeconds: 20,
          })
        ).verdict,
      ).toBe('unsat');
    }
});
