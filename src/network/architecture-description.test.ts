import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describedSteps, faultOf, type Step, stepText } from './architecture-description.js';
import { architecture, isArchitecture } from './architectures.js';
import { parameterLayout } from './parameters.js';

const layersOf = (name: string, input: readonly [number, number, number] = [1, 28, 28]) =>
  architecture(name, input, 10).nodes.map(({ layer }) => [layer.kind, layer.output.join('×')]);

describe('an architecture by description', () => {
  it('is the network of the same layers by name', () => {
    const cnn3 = 'conv 16@5 s2 p2, conv 32@4 s2 p1, linear';
    expect(layersOf(cnn3)).toEqual(layersOf('cnn3'));
    expect(layersOf('conv 4@5 s2 p2, conv 8@4 s2 p1, linear')).toEqual(layersOf('cnn3-narrow'));
    expect(layersOf('linear 100,linear 100 , linear')).toEqual(layersOf('fc-small'));
    expect(layersOf('conv 16@5 s2 p2 bn, conv 32@4 s2 p1 bn, linear')).toEqual(layersOf('cnn3-bn'));
  });

  it('has the 1,354 parameters of the narrow network on 14 × 14 images', () => {
    const network = architecture('conv 4@5 s2 p2, conv 8@4 s2 p1, linear', [1, 14, 14], 10);
    expect(parameterLayout(network).reduce((sum, { size }) => sum + size, 0)).toBe(1354);
  });

  it('is read back from the layers that it is written from', () => {
    const small = fc.integer({ min: 1, max: 9 });
    const batchNorm = fc.constantFrom({}, { batchNorm: true as const });
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc
        .tuple(small, small, small, fc.integer({ min: 0, max: 9 }), batchNorm)
        .map(([c, k, s, p, bn]) => ({ conv: [c, k, s, p] as const, ...bn })),
      fc.tuple(small, batchNorm).map(([linear, bn]) => ({ linear, ...bn })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 5 }), (steps) => {
        const text = [...steps.map(stepText), 'linear'].join(', ');
        expect(describedSteps(text, 7)).toEqual([...steps, { linear: 7 }]);
        expect(isArchitecture(text)).toBe(true);
      }),
    );
  });

  it.each([
    [
      'conv 4@5 x2, linear',
      'expected layers like "conv 16@5 s2 p2" or "linear 100", each with "bn" or not, got',
    ],
    ['conv 0@5, linear', 'got "conv 0@5"'],
    ['conv 4@5 s0, linear', 'got "conv 4@5 s0"'],
    ['linear, linear', 'got "linear"'],
    ['conv 4@5', 'expected "linear" as the last layer, got "conv 4@5"'],
    ['linear 10', 'expected "linear" as the last layer, got "linear 10"'],
    ['', 'expected "linear" as the last layer, got ""'],
  ])('"%s" is refused with the layer that is none', (text, fault) => {
    expect(faultOf(text)).toContain(fault);
    expect(isArchitecture(text)).toBe(false);
    expect(() => architecture(text, [1, 28, 28], 10)).toThrow(fault);
  });

  it('names the layer that does not fit what it reads', () => {
    expect(() => architecture('conv 4@5 s4, conv 8@9, linear', [1, 14, 14], 10)).toThrow(
      'layer 2, conv 8@9 s1 p0: convolution: a kernel of 9×9 does not fit an input of 4×3×3',
    );
  });
});
