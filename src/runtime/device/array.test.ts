import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { add, encodeProgram, gemm, input, mul, takeRows, total } from '../../graph/index.js';
import { deviceForTests } from '../../testing/devices.js';
import { compiledUrl } from '../compiled-file.js';
import { openSession, type Session } from '../execution/session.js';
import { type DeviceArray, type DeviceArrays, keepsArrays, openDeviceArrays } from './array.js';
import type { Device } from './device.js';

const present = await deviceForTests();
const devices: Device[] = present === undefined ? ['cpu'] : ['cpu', present];

describe.each(devices)('arrays kept on %s', (device) => {
  const arrays: DeviceArrays = openDeviceArrays(device);
  const sessions: Session[] = [];
  const open = async (...given: Parameters<typeof openSession>): Promise<Session> => {
    const session = await openSession(...given);
    sessions.push(session);
    return session;
  };
  afterAll(() => Promise.all([arrays.close(), ...sessions.map((session) => session.close())]));

  it('come back as they went, of either type and any length', async () => {
    const numbers = fc.oneof(
      fc.float32Array({ minLength: 1, maxLength: 300, noNaN: true }),
      fc.int32Array({ minLength: 1, maxLength: 300 }),
    );
    await fc.assert(
      fc.asyncProperty(numbers, async (data) => {
        const array = await arrays.upload(data);
        expect([array.size, array.dtype]).toEqual([
          data.length,
          data instanceof Int32Array ? 'int32' : 'float32',
        ]);
        expect(await arrays.read(array)).toEqual(data);
        const reversed = data.slice().reverse();
        await arrays.write(array, reversed);
        expect(await arrays.read(array)).toEqual(reversed);
        array.dispose();
      }),
      { numRuns: 20 },
    );
  });

  it('are zeros where they are made there, and sums of two others', async () => {
    const zeros = await Promise.all([arrays.allocate('float32', 300), arrays.allocate('int32', 1)]);
    expect(await arrays.read(zeros[0])).toEqual(new Float32Array(300));
    expect(await arrays.read(zeros[1])).toEqual(new Int32Array(1));
    const [a, b, sum] = await Promise.all([
      arrays.upload(Float32Array.of(1, 2, -3)),
      arrays.upload(Float32Array.of(0.5, 4, 3)),
      arrays.allocate('float32', 3),
    ]);
    await arrays.add(a, b, sum);
    expect(await arrays.read(sum)).toEqual(Float32Array.of(1.5, 6, 0));
    await expect(arrays.add(a, b, a)).rejects.toThrow(
      /^device array: expected a sum of arrays of 3 numbers in a third one/,
    );
    for (const array of [...zeros, a, b, sum]) array.dispose();
  });

  it('are the device’s own where the runtime allows it', async () => {
    const array = await arrays.upload(Float32Array.of(1, 2));
    expect(array.tensor([2, 1]).location).toBe(keepsArrays(device) ? 'gpu-buffer' : 'cpu');
    array.dispose();
  });

  it('are what one program writes and another reads, in the shape that each gives them', async () => {
    const [matrix, flat, rows] = [input('x', [2, 3]), input('y', [6]), input('rows', [2], 'int32')];
    const squared = await open(encodeProgram({ y: mul(matrix, matrix), sum: total(matrix) }), { device });
    const chosen = await open(encodeProgram({ chosen: takeRows(flat, rows) }), { device });
    const x = Float32Array.of(1, 2, 3, 4, 5, 6);
    const y = await arrays.upload(new Float32Array(6));
    const places = await arrays.upload(Int32Array.of(5, 1));
    // Only what is not kept is given back.
    expect(await squared.run({ x }, { y })).toEqual({ sum: Float32Array.of(21) });
    expect(await arrays.read(y)).toEqual(x.map((value) => value * value));
    expect(await chosen.run({ y, rows: places })).toEqual({ chosen: Float32Array.of(36, 4) });
    // The other outputs stay the session's own, the host's and the device's arrays are mixed as one likes.
    expect((await squared.run({ x })).y).toEqual(x.map((value) => value * value));
    expect(await chosen.run({ y: x, rows: Int32Array.of(0, 2) })).toEqual({ chosen: Float32Array.of(1, 3) });
    y.dispose();
    places.dispose();
  });

  it('go back and forth between two of them for as long as one likes', async () => {
    const step = await open(
      encodeProgram({ next: add(gemm(input('a', [2, 2]), input('x', [2, 1])), input('b', [2, 1])) }),
      { device },
    );
    const [a, b] = await Promise.all([
      arrays.upload(Float32Array.of(0, 0.5, 0.5, 0)),
      arrays.upload(Float32Array.of(1, 0)),
    ]);
    let [now, next] = await Promise.all([
      arrays.upload(new Float32Array(2)),
      arrays.upload(new Float32Array(2)),
    ]);
    for (let i = 0; i < 30; i++) {
      await step.run({ a, b, x: now }, { next });
      [now, next] = [next, now];
    }
    // The fixed point of x = (1 + x₂ / 2, x₁ / 2).
    const [first, second] = await arrays.read(now);
    expect(first).toBeCloseTo(4 / 3, 6);
    expect(second).toBeCloseTo(2 / 3, 6);
    for (const array of [a, b, now, next]) array.dispose();
  });

  it('outlive the programs that wrote them, and end with what moves them', async () => {
    const own = openDeviceArrays(device);
    const session = await openSession(encodeProgram({ y: mul(input('x', [3]), 2) }), { device });
    const [x, y] = [await own.upload(Float32Array.of(1, 2, 3)), await own.upload(new Float32Array(3))];
    await session.run({ x }, { y });
    await session.close();
    expect(await own.read(y)).toEqual(Float32Array.of(2, 4, 6));
    await own.close();
    await expect(own.read(y)).rejects.toThrow(/^device array: expected one that is still there/);
    x.dispose();
  });

  it('are refused in one line where they do not fit', async () => {
    const session = await open(encodeProgram({ y: mul(input('x', [3]), 2) }), { device });
    const double = await open(encodeProgram({ y: mul(input('x', [3], 'float64'), 2) }), { device });
    const [x, short, whole] = await Promise.all([
      arrays.upload(new Float32Array(3)),
      arrays.upload(new Float32Array(2)),
      arrays.upload(new Int32Array(3)),
    ]);
    await expect(session.run({ x: short })).rejects.toThrow(
      /^program: input x expects \[3\] float32, got 2 values float32$/,
    );
    await expect(session.run({ x: whole })).rejects.toThrow(
      /^program: input x expects \[3\] float32, got 3 values int32$/,
    );
    await expect(session.run({ x }, { y: short })).rejects.toThrow(
      /^program: output y expects \[3\] float32, got 2 values float32$/,
    );
    await expect(session.run({ x }, { y: x })).rejects.toThrow(
      /^program: expected output y in another array than those that are read/,
    );
    await expect(double.run({ x })).rejects.toThrow(
      /^program: input x expects \[3\] float64, got 3 values float32$/,
    );
    await expect(arrays.write(x, new Int32Array(3))).rejects.toThrow(
      /^device array: expected 3 numbers float32, got 3 int32$/,
    );
    x.dispose();
    await expect(session.run({ x })).rejects.toThrow(/^device array: expected one that is still there/);
    await expect(arrays.read(x)).rejects.toThrow(/disposed of/);
    for (const array of [short, whole, x] as DeviceArray[]) array.dispose();
  });
});

describe.skipIf(present === undefined)('arrays of two devices', () => {
  it('may be let go of when no program is open any more, which ends a process where an array outlives its device', () => {
    // In a process of its own: in this one a program is always open.
    const script = `
      const { openDeviceArrays } = await import(${JSON.stringify(compiledUrl('runtime/device/array.js').href)});
      const arrays = openDeviceArrays('${present}');
      const array = await arrays.upload(Float32Array.of(1, 2));
      await arrays.close();
      array.dispose();
      const [again] = await arrays.read(await arrays.upload(Float32Array.of(3)));
      await arrays.close();
      console.log(again);`;
    const { status, signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect({ status, signal, stdout }).toEqual({ status: 0, signal: null, stdout: '3\n' });
  });

  it('kept by the host are moved, kept elsewhere are refused', async () => {
    const device = present as Device;
    const [here, there] = [openDeviceArrays('cpu'), openDeviceArrays(device)];
    const [x, y] = [await here.upload(Float32Array.of(1)), await there.upload(Float32Array.of(2))];
    const program = encodeProgram({ y: mul(input('x', [1]), 3) });
    const [host, accelerated] = [await openSession(program), await openSession(program, { device })];
    expect((await accelerated.run({ x })).y).toEqual(Float32Array.of(3));
    if (keepsArrays(device))
      await expect(host.run({ x: y })).rejects.toThrow(
        `program: input x is kept on ${device}, expected it where the program runs, on cpu`,
      );
    y.dispose();
    await Promise.all([host.close(), accelerated.close(), here.close(), there.close()]);
  });
});
