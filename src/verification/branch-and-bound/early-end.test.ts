/**
 * Searches that end before they are through, and searches whose candidates nobody confirms: neither is a
 * proof of what is reached.
 */
import { describe, expect, it } from 'vitest';
import type { Network } from '../../network/network.js';
import { propertyCases, safe, singleBox, unsafe } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import { denseNetwork, evaluationOf } from '../../testing/searches.js';
import { enclosingBox } from '../proof/rounding.js';
import type { Polytope } from '../property/property.js';
import type { Engine } from './engine.js';
import { createHiddenBounding } from './hidden-bounds.js';
import { splitInputs } from './input-splitting.js';
import { splitRelus } from './relu-splitting.js';
import { search } from './search.js';

const engineOf = searchEngines();
const LARGE = 2 ** 26;
const found = async () => false;

interface Ended {
  readonly verdict: 'proved' | 'found' | 'open';
  readonly lowerBound: number;
  readonly reason?: string;
}
/** A search of polytopes with an engine, in so many bytes. */
type Way = (engine: Engine, polytopes: readonly Polytope[], memoryBytes: number) => Promise<Ended>;

const onInputs: Way = (engine, polytopes, memoryBytes) =>
  splitInputs(engine, { polytopes, memoryBytes, found });

const onRelus: Way = async (engine, polytopes, memoryBytes) => {
  const box = enclosingBox((polytopes[0] as Polytope).box);
  // Its calls are not counted: the search begins with these bounds.
  const hidden = await createHiddenBounding({ ...engine, expired: () => false }).bound(box, {
    iterations: 0,
  });
  const goals = polytopes.flatMap(({ unsafe: rows }) =>
    rows.map(({ outputs, bound }) => ({ coefficients: outputs, threshold: bound })),
  );
  return splitRelus(engine, { box, hidden, goals, memoryBytes, found });
};

const whole: Way = (engine, polytopes, memoryBytes) =>
  search(engine, polytopes, {
    ...{ memoryBytes, found, secondsLeft: () => 60, clock: () => 0 },
    evaluate: evaluationOf({ ...engine, expired: () => false }),
  });

/** The engine, whose time ends after so many answers about time. */
function until(engine: Engine, answers: number): Engine {
  let asked = 0;
  return { ...engine, expired: () => asked++ >= answers };
}

const few = denseNetwork(3, 6, 6, 3);
const many = denseNetwork(24, 8, 8, 3);
const ways: readonly { name: string; net: Network; way: Way; epsilon: number }[] = [
  { name: 'halves of inputs', net: few, way: onInputs, epsilon: 0.5 },
  { name: 'signs of ReLUs', net: many, way: onRelus, epsilon: 0.2 },
  { name: 'the whole search', net: many, way: whole, epsilon: 0.2 },
];

describe.each(ways)('$name', ({ net, way, epsilon }) => {
  it('that ends early, or without a confirmed candidate, proves nothing that is reached', async () => {
    const [of] = await propertyCases(net, 41, 1, { epsilon });
    if (of === undefined) throw new Error('expected a case');
    const engine = engineOf(net, of.parameters);
    const [open, reached] = [safe(of, 1e-4), unsafe(of, 0.02)];
    for (const answers of [0, 1, 2, 4, 1000])
      for (const polytopes of [[reached], [open, reached], [reached, open]]) {
        const ended = await way(until(engine, answers), polytopes, LARGE);
        expect(ended.verdict).toBe('open');
        expect(ended.lowerBound).toBeLessThanOrEqual(1e-5);
        if (answers === 0)
          expect(ended).toMatchObject({ reason: 'time', lowerBound: Number.NEGATIVE_INFINITY });
      }
  });

  it('of several boxes proves none that it has not come to', async () => {
    if (way === onRelus) return; // of one box
    const [of] = await propertyCases(net, 43, 1, { epsilon });
    if (of === undefined) throw new Error('expected a case');
    const engine = engineOf(net, of.parameters);
    const far = safe(of, 100);
    const boxes = [far, { ...far, box: singleBox(net, 7, 0) }];
    const reached = { ...unsafe(of, 0.02), box: { ...of.polytope.box } };
    for (const answers of [0, 1, 2, 3])
      expect((await way(until(engine, answers), [...boxes, reached], LARGE)).verdict).toBe('open');
    expect((await way(engine, boxes, LARGE)).verdict).toBe('proved');
  });

  it('without memory for what is open proves nothing that is reached', async () => {
    const [of] = await propertyCases(net, 47, 1, { epsilon });
    if (of === undefined) throw new Error('expected a case');
    const ended = await way(engineOf(net, of.parameters), [unsafe(of, 0.02)], 1);
    expect(ended.verdict).toBe('open');
    expect(ended.lowerBound).toBeLessThanOrEqual(1e-5);
  });
});
