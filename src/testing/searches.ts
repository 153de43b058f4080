/**
 * Searches on random properties, for tests: what each way to search says of a polytope, counterexamples
 * confirmed by the network in float32.
 */
import { expect } from 'vitest';
import { input } from '../graph/index.js';
import { convolutionLayer } from '../network/layers/convolution.js';
import { featuresOf, joinLayer, type Layer, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, INPUT, logits, type Network, network, parameterInputs } from '../network/network.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Engine } from '../verification/branch-and-bound/engine.js';
import { createHiddenBounding } from '../verification/branch-and-bound/hidden-bounds.js';
import { splitInputs } from '../verification/branch-and-bound/input-splitting.js';
import { searchSigns } from '../verification/branch-and-bound/relu-search.js';
import { splitRelus } from '../verification/branch-and-bound/relu-splitting.js';
import { search } from '../verification/branch-and-bound/search.js';
import { type Counterexample, confirm, type Evaluate } from '../verification/proof/counterexample.js';
import { enclosingBox } from '../verification/proof/rounding.js';
import { type Box, type Polytope, violation } from '../verification/property/property.js';

export interface Decision {
  readonly verdict: 'proved' | 'found' | 'open';
  readonly subproblems: number;
  readonly lowerBound: number;
  readonly reason?: 'time' | 'memory' | 'leaves';
  readonly counterexample?: Counterexample;
}

/** The network's own outputs. */
export function evaluationOf(engine: Engine): Evaluate {
  const { network: net } = engine;
  const plan = engine.plan('outputs', () =>
    createPlan([
      {
        kind: 'whole',
        outputs: { y: logits(net, parameterInputs(net), input('x', [featuresOf(net.input), 1])) },
      },
    ]),
  );
  return async (x) => (await engine.run(plan, { x })).y as Float32Array;
}

/** Remembers the counterexample that ended a search. */
function confirmation(engine: Engine, polytopes: readonly Polytope[]) {
  const evaluate = evaluationOf(engine);
  let counterexample: Counterexample | undefined;
  return {
    evaluate,
    async found(point: Float32Array, index: number): Promise<boolean> {
      counterexample ??= await confirm(polytopes[index] as Polytope, index, point, evaluate);
      return counterexample !== undefined;
    },
    with: <T extends object>(result: T) => ({ ...result, ...(counterexample && { counterexample }) }),
  };
}

/** Bytes for open parts: far more than small networks need. */
const MEMORY = 2 ** 26;
const MINUTE = 60;

export async function decideOnInputs(
  engine: Engine,
  polytopes: readonly Polytope[],
  memoryBytes = MEMORY,
  partByPart = false,
): Promise<Decision> {
  const { found, with: complete } = confirmation(engine, polytopes);
  return complete(await splitInputs(engine, { polytopes, memoryBytes, found, partByPart }));
}

/**
 * Polytopes of one box and one inequality each, by the signs of ReLUs; with hulls after `patience`
 * subproblems, which are chosen anew after as many.
 */
export async function decideOnRelus(
  engine: Engine,
  polytopes: readonly Polytope[],
  memoryBytes = MEMORY,
  patience?: number,
): Promise<Decision> {
  const { found, with: complete } = confirmation(engine, polytopes);
  const box = enclosingBox((polytopes[0] as Polytope).box);
  const hidden = await createHiddenBounding(engine).bound(box, { iterations: 0 });
  const goals = polytopes.flatMap(({ unsafe }) =>
    unsafe.map(({ outputs, inputs, bound }) => ({
      coefficients: outputs,
      ...(inputs && { inputs }),
      threshold: bound,
    })),
  );
  const options = { box, hidden, goals, memoryBytes, found };
  return complete(
    patience === undefined
      ? await splitRelus(engine, options)
      : await searchSigns(engine, {
          ...{ ...options, patience, renewAfter: patience },
          secondsLeft: () => MINUTE,
        }),
  );
}

/** The whole search; it ends after so many calls of programs, which however slow a machine makes as many. */
export async function decide(engine: Engine, polytopes: readonly Polytope[], calls = 200): Promise<Decision> {
  const { found, evaluate, with: complete } = confirmation(engine, polytopes);
  let made = 0;
  const limited: Engine = {
    ...engine,
    expired: () => made >= calls || engine.expired(),
    async run(plan, feeds) {
      made++;
      return engine.run(plan, feeds);
    },
  };
  // All calls are the minute that the search is told to have.
  const [secondsLeft, clock] = [() => MINUTE, () => (MINUTE * made) / calls];
  return complete(
    await search(limited, polytopes, { memoryBytes: MEMORY, secondsLeft, clock, evaluate, found }),
  );
}

/** Linear layers of these widths with ReLUs between them. */
export function denseNetwork(inputs: number, ...widths: readonly number[]): Network {
  const layers: Layer[] = [];
  let from = inputs;
  widths.forEach((width, i) => {
    if (i > 0) layers.push(reluLayer([from, 1, 1]));
    layers.push(linearLayer([from, 1, 1], width));
    from = width;
  });
  return chain(`dense ${inputs}-${widths.join('-')}`, [inputs, 1, 1], layers);
}

const image = [1, 4, 4] as const;
const [first, second] = [
  convolutionLayer(image, { channels: 3, kernel: [2, 2], stride: [2, 2] }),
  convolutionLayer([3, 2, 2], { channels: 2, kernel: [2, 2], padding: [1, 1, 1, 1] }),
];
/** Two convolutions and a linear layer; 16 inputs. */
export const convolutionalNetwork = chain('convolutional', image, [
  first,
  reluLayer(first.output),
  second,
  reluLayer(second.output),
  linearLayer(second.output, 3),
]);

const convolution = convolutionLayer(image, { channels: 1, kernel: [3, 3], padding: [1, 1, 1, 1] });
/** A convolution, a residual block, a linear layer; 16 inputs. */
export const residualNetwork = network('residual', image, [
  { layer: convolution, inputs: [INPUT] },
  { layer: reluLayer(image), inputs: [0] },
  { layer: convolution, inputs: [1] },
  { layer: joinLayer(image), inputs: [2, 1] },
  { layer: reluLayer(image), inputs: [3] },
  { layer: linearLayer(image, 3), inputs: [4] },
]);

const inside = ({ lower, upper }: Box, x: ArrayLike<number>): boolean =>
  lower.every((low, i) => (x[i] as number) >= low && (x[i] as number) <= (upper[i] as number));

/** Expects a counterexample to be one: in the box of its polytope, its outputs unsafe. */
export function expectTrue(
  { input, output, polytope }: Counterexample,
  polytopes: readonly Polytope[],
): void {
  const of = polytopes[polytope] as Polytope;
  expect(inside(of.box, input)).toBe(true);
  expect(violation(of, input, output)).toBeLessThanOrEqual(0);
}

/** Expects an answer that does not contradict that some polytope is reached. @returns whether it says so */
export function expectNoProof(answer: Decision, polytopes: readonly Polytope[]): boolean {
  expect(answer.verdict).not.toBe('proved');
  if (answer.verdict !== 'found') return false;
  expectTrue(answer.counterexample as Counterexample, polytopes);
  return true;
}
