import { describe, expect, it } from 'vitest';
import { certifiedSet } from '../../testing/certified-sets.js';
import { certify } from './cascade.js';
import { agreement, readCertifiedSet } from './expected-verdicts.js';

const set = {
  source: 'made by hand',
  network: 'network.onnx',
  dataset: 'mnist',
  epsilon: 0.1,
  images: [
    { image: 0, verdict: 'certified' },
    { image: 3, verdict: 'falsified' },
  ],
};
const textOf = (changes: object) => JSON.stringify({ ...set, ...changes });

describe('a certified set', () => {
  it('is read from its documented form', () => {
    expect(readCertifiedSet(textOf({}), 'set.json')).toEqual({ ...set, clipBox: true });
  });

  it.each([
    ['{', 'set.json: expected JSON;'],
    [textOf({ epsilon: 0 }), 'set.json: epsilon: '],
    [textOf({ images: [{ image: 1, verdict: 'robust' }] }), 'set.json: images.0.verdict: '],
    [textOf({ images: [] }), 'set.json: images: '],
    [textOf({ radius: 1 }), 'set.json: the set: '],
    [
      textOf({ images: [set.images[0], set.images[0]] }),
      'set.json: images: expected each image once, got 0 twice',
    ],
  ])('%s is refused in one line', (text, message) => {
    expect(() => readCertifiedSet(text, 'set.json')).toThrow(message);
  });
});

describe('verdicts held against a set', () => {
  it('agree, are undecided, missing, or contradict it', () => {
    const images = [0, 1, 2, 3, 4].map((image) => ({ image, verdict: 'certified' as const }));
    const verdicts = [
      { image: 0, verdict: 'certified' as const },
      { image: 1, verdict: 'undecided' as const },
      { image: 2, verdict: 'falsified' as const },
      { image: 3, verdict: 'certified' as const },
      { image: 9, verdict: 'falsified' as const },
    ];
    expect(agreement({ images }, verdicts)).toEqual({
      same: 2,
      undecided: 1,
      contradicted: [2],
      missing: [4],
    });
  });

  it('of our own certification agree with it, and contradict its opposite', async () => {
    const { network, parameters, split } = await certifiedSet(1, 16);
    const { verdicts } = await certify({ network, parameters, split, epsilon: 0.02, threads: 1 });
    const decided = verdicts.flatMap(({ image, verdict }) =>
      verdict === 'undecided' ? [] : [{ image, verdict }],
    );
    const opposite = decided.map(({ image, verdict }) => ({
      image,
      verdict: verdict === 'certified' ? ('falsified' as const) : ('certified' as const),
    }));
    expect(decided.length).toBeGreaterThan(4);
    expect(agreement({ images: decided }, verdicts)).toMatchObject({
      same: decided.length,
      contradicted: [],
    });
    expect(agreement({ images: opposite }, verdicts).contradicted).toEqual(decided.map(({ image }) => image));
  });
});
