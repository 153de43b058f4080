import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeviceError } from './device.js';
import { withSmallerChunk } from './halving.js';

const SAID = 'Buffer size (4294967296) exceeds the max buffer size limit (1073741824)';

/**
 * Work that fails with more members than a device holds, as a provider or as a worker says it; remembers what
 * was asked of it.
 */
function holding(most: number, error: () => Error = () => new DeviceError('webgpu', new Error(SAID))) {
  const asked: number[] = [];
  const work = async (members: number): Promise<string> => {
    asked.push(members);
    if (members > most) throw error();
    return `made with ${members}`;
  };
  return { asked, work };
}

describe('a population for which the memory of a device does not suffice', () => {
  it('is tried once more with half of its members at a time, and is not tried where it suffices', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 512 }), fc.nat(600), async (members, most) => {
        const { asked, work } = holding(most);
        const half = Math.ceil(members / 2);
        if (members <= most) {
          expect(await withSmallerChunk(members, work)).toEqual({ result: `made with ${members}`, members });
          expect(asked).toEqual([members]);
          return;
        }
        if (half <= most)
          expect(await withSmallerChunk(members, work)).toEqual({
            result: `made with ${half}`,
            members: half,
          });
        else await expect(withSmallerChunk(members, work)).rejects.toThrow(DeviceError);
        expect(asked).toEqual([members, half]);
      }),
    );
  });

  it('ends in one line that says what was tried and what can be done', async () => {
    const line = `webgpu: the memory of the device does not suffice for 64 perturbations at once, nor for 32 (${SAID}); let programs take less with --memory, take a smaller micro-batch or batch, or use the device cpu`;
    const failure = await withSmallerChunk(64, holding(0).work).catch((error) => error);
    expect(failure).toBeInstanceOf(DeviceError);
    expect([failure.message, failure.trouble]).toEqual([line, 'memory']);
    // As it comes from a worker, and once more from another.
    const fromWorker = () =>
      new DeviceError('webgpu', new Error(new DeviceError('webgpu', new Error(SAID)).message));
    expect((await withSmallerChunk(64, holding(0, fromWorker).work).catch((error) => error)).message).toBe(
      line,
    );
    expect(new DeviceError('webgpu', new Error(line)).message).toBe(line);
  });

  it('of one member is not tried again', async () => {
    const { asked, work } = holding(0);
    await expect(withSmallerChunk(1, work)).rejects.toThrow(
      /^webgpu: the memory of the device does not suffice \(/,
    );
    expect(asked).toEqual([1]);
  });

  it('is not tried again for other reasons, and what then goes wrong is told as it is', async () => {
    for (const reason of [new DeviceError('webgpu', new Error('Device lost')), new TypeError('no plan')]) {
      const { asked, work } = holding(0, () => reason);
      await expect(withSmallerChunk(8, work)).rejects.toBe(reason);
      expect(asked).toEqual([8]);
    }
    const lost = new DeviceError('webgpu', new Error('Device lost'));
    const errors = [new DeviceError('webgpu', new Error(SAID)), lost];
    await expect(withSmallerChunk(8, holding(0, () => errors.shift() as Error).work)).rejects.toBe(lost);
  });
});
