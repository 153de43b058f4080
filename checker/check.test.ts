import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeOnnx } from '../src/formats/onnx.js';
import { exportOnnx } from '../src/network/onnx/export.js';
import { uniformNumbers } from '../src/testing/numbers.js';
import { model as built, op } from '../src/testing/onnx-models.js';
import { singleParameters } from '../src/testing/property-cases.js';
import { convolutionalNetworks, denseNetworks } from '../src/testing/random-networks.js';
import { encodeCertificate, type Tree } from '../src/verification/certificate/format.js';
import { imageCertificate } from '../src/verification/certificate/images.js';
import { propertyCertificate } from '../src/verification/certificate/property.js';
import { boundNodes } from './bounds.js';
import { check, type Given } from './check.js';
import { type Node, readOnnx } from './onnx.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** What the model gives at x, but for rounding. */
function outputsAt(nodes: readonly Node[], x: Float64Array): Float64Array {
  const bounds = boundNodes(nodes, { lower: x, upper: x });
  const [lower, upper] = [bounds.lower.at(-1), bounds.upper.at(-1)] as [Float64Array, Float64Array];
  return lower.map((l, j) => (l + (upper[j] as number)) / 2);
}

const decimals = (x: ArrayLike<number>): string[] => Array.from(x, (v) => v.toFixed(3));

/** A property: output 0 is not above what it is at most at sampled points, and `more`. */
function task(seed: number, net: Parameters<typeof exportOnnx>[0], more: number) {
  const model = exportOnnx(net, singleParameters(net, seed));
  const nodes = readOnnx(model);
  const features = (nodes[0] as Node).size;
  const lower = decimals(uniformNumbers(`lower ${seed}`, features));
  const upper = lower.map((v) => (Number(v) + 0.2).toFixed(3));
  let most = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < 60; k++) {
    const u = uniformNumbers(`point ${k} of ${seed}`, features);
    const at = (v: string, i: number) => {
      const part = k % 2 === 0 ? Math.round(u[i] as number) : (u[i] as number);
      return Math.min(Number(upper[i]), Number(v) + part * (Number(upper[i]) - Number(v)));
    };
    most = Math.max(most, outputsAt(nodes, Float64Array.from(lower, at))[0] as number);
  }
  const names = [
    ...lower.map((_, i) => `X_${i}`),
    ...Array.from({ length: net.classes }, (_, j) => `Y_${j}`),
  ];
  const text = [
    ...names.map((name) => `(declare-const ${name} Real)`),
    ...lower.map((v, i) => `(assert (and (>= X_${i} ${v}) (<= X_${i} ${upper[i]})))`),
    `(assert (>= Y_0 ${(most + more).toFixed(9)}))`,
  ];
  return { model, property: new TextEncoder().encode(text.join('\n')) };
}

const nets = fc.oneof(denseNetworks, convolutionalNetworks({ min: 1, max: 2 }));
const seeds = fc.integer({ min: 0, max: 1e6 });

test('a proof that is possible is found and accepted; of what is false none is ever accepted', async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(nets, seeds, fc.constantFrom(-1e-6, 0.02, 0.3), async (net, seed, more) => {
      const { model, property } = task(seed, net, more);
      const { certificate, proved } = await propertyCertificate({ model, property, seconds: 1 });
      if (more < 0) expect(proved).toBe(0);
      const answer = check({ certificate: encodeCertificate(certificate), model, property });
      if (proved === 0) await expect(answer).rejects.toThrow(/has no proof/);
      else expect((await answer).proved).toBe(1);
      accepted += proved;
    }),
    { numRuns: 60 },
  );
  expect(accepted).toBeGreaterThan(20);
});

/** A certificate's text with its own digest, as anybody can make it. */
function sealed(content: unknown): Uint8Array {
  const text = JSON.stringify(content);
  return gzipSync(`${text}\n${createHash('sha256').update(text).digest('hex')}\n`);
}

test('workers share the leaves of few proofs, and each leaf is proved by one of them', async () => {
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(denseNetworks, seeds, fc.integer({ min: 2, max: 4 }), async (net, seed, n) => {
      const { model, property } = task(seed, net, 0.05);
      const { certificate, proved } = await propertyCertificate({ model, property, seconds: 1 });
      fc.pre(proved === 1);
      const halves = (depth: number): unknown =>
        depth === 0 ? 0 : ['x', 0, halves(depth - 1), halves(depth - 1)];
      const proofs = [{ of: [0], bounds: 'crown', tree: halves(3) }];
      const answers = async (about: typeof property) => {
        const claim = { ...certificate.claim, property: createHash('sha256').update(about).digest('hex') };
        const file = sealed({ ...certificate, certificate: 1, claim, proofs });
        const given = { certificate: file, model, property: about };
        const [whole, ...parts] = await Promise.allSettled(
          [undefined, ...Array(n).keys()].map((k) =>
            check(k === undefined ? given : { ...given, share: [k, n] as const }),
          ),
        );
        return { whole: whole?.status === 'fulfilled', parts };
      };
      const right = await answers(property);
      if (right.whole) {
        const counts = right.parts.map((part) =>
          part.status === 'fulfilled' ? part.value.proved : Number.NaN,
        );
        expect(counts).toEqual([1, ...Array(n - 1).fill(0)]);
      }
      // What is false is false in some leaf.
      const wrong = await answers(task(seed, net, -1e-6).property);
      expect(wrong.whole).toBe(false);
      expect(wrong.parts.some(({ status }) => status === 'rejected')).toBe(true);
      refused++;
    }),
    { numRuns: 25 },
  );
  expect(refused).toBeGreaterThan(10);
});

/** Trees that somebody might write who wants a false proof to pass. */
const trees: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constant(0),
    fc.record({ a: fc.string(), b: fc.array(fc.double()), m: fc.array(fc.double()) }, { requiredKeys: [] }),
    fc.record({ b: fc.array(fc.constantFrom(-1e9, 0, 1, 1e9)) }),
    fc.tuple(fc.constant('x'), fc.integer({ min: -1, max: 4 }), tie('tree'), tie('tree')),
    fc.tuple(
      fc.constant('relu'),
      fc.integer({ min: -1, max: 2 }),
      fc.integer({ min: -1, max: 4 }),
      tie('tree'),
      tie('tree'),
    ),
    fc.tuple(fc.constant('each'), tie('tree')),
    fc.tuple(fc.constantFrom('x', 'relu', 'each', 'other'), tie('tree')),
    fc.anything(),
  ),
})).tree;

test('no tree proves what is false, not even with a digest that is right', async () => {
  await fc.assert(
    fc.asyncProperty(
      nets,
      seeds,
      trees,
      fc.constantFrom<unknown>('ibp', 'crown', ['', 'AAAA'], 'none'),
      async (net, seed, tree, bounds) => {
        const { model, property } = task(seed, net, -1e-6);
        const certificate = certificateOf({ model, property }, tree, bounds);
        await expect(check({ certificate, model, property })).rejects.toThrow();
      },
    ),
    { numRuns: 300 },
  );
});

/** y = a·relu(x) + b·x over x ∈ [−1, 1], unsafe where all of the rows hold. */
function kink(a: number, b: number, rows: string) {
  const constant = (name: string, value: number) => ({ name, shape: [1, 1], data: Float32Array.of(value) });
  const nodes = [
    op('Relu', ['x'], 'r'),
    op('Gemm', ['r', 'a'], 'h'),
    op('Gemm', ['x', 'b'], 'g'),
    op('Add', ['h', 'g'], 'y'),
  ];
  const model = encodeOnnx(built({ input: [1, 1], nodes, constants: [constant('a', a), constant('b', b)] }));
  const box = '(assert (>= X_0 -1)) (assert (<= X_0 1))';
  const text = `(declare-const X_0 Real) (declare-const Y_0 Real) ${box} ${rows}`;
  return { model, property: new TextEncoder().encode(text) };
}

/** A certificate of one proof, of polytope 0 or of others, with digests that are right. */
function certificateOf(
  { model, property }: { model: Uint8Array; property: Uint8Array },
  tree: unknown,
  bounds: unknown,
  of: readonly number[] = [0],
) {
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const proofs = [{ of, bounds, tree }];
  return sealed({ certificate: 1, model: sha256(model), claim: { property: sha256(property) }, proofs });
}

test('a proof over one box proves nothing of another', async () => {
  const sides = '(and (<= X_0 0) (>= Y_0 0.5)) (and (>= X_0 0) (>= Y_0 0.5))';
  const about = kink(1, 0, `(assert (or ${sides}))`);
  const both = check({ ...about, certificate: certificateOf(about, 0, 'crown', [0, 1]) });
  await expect(both).rejects.toThrow(/polytope 0, 1: .*different boxes/);
  await expect(check({ ...about, certificate: certificateOf(about, 0, 'crown', []) })).rejects.toThrow();
});

test.each([
  ['|x| is at most 1.1', 2, -1, 1.1, [true, true]],
  ['the active branch of 2 relu(x) − x reaches 0.9', 2, -0.5, 0.9, [false, true]],
  ['its inactive branch does', 1.5, -1, 0.9, [true, false]],
] as const)('both signs of a ReLU have to be proved: %s', async (_, a, b, most, holds) => {
  const about = kink(a, b, `(assert (>= Y_0 ${most}))`);
  const answer = check({ ...about, certificate: certificateOf(about, ['relu', 0, 0, 0, 0], 'crown') });
  if (holds.every(Boolean)) expect((await answer).proved).toBe(1);
  else await expect(answer).rejects.toThrow(/polytope 0: a leaf is not proved/);
});

/** A property whose proof has splits of inputs and another whose proof has splits of ReLUs. */
async function splitProofs() {
  const net = { inputs: 3, widths: [9, 8], classes: 2 };
  const [dense] = fc.sample(
    denseNetworks.filter((one) => one.input[0] === net.inputs && one.nodes.length >= 5),
    { numRuns: 1, seed: 3 },
  );
  const { model, property } = task(11, dense as Parameters<typeof exportOnnx>[0], 0.004);
  return { model, property };
}

test('a proof with splits is refused without one of its branches, and without its digest', async () => {
  const { model, property } = await splitProofs();
  const { certificate, proved } = await propertyCertificate({ model, property, seconds: 20 });
  expect(proved).toBe(1);
  const [proof] = certificate.proofs as [{ of: number[]; bounds: 'crown'; tree: Tree }];
  expect(JSON.stringify(proof.tree)).toMatch(/"x"/);
  const given = (tree: unknown): Given => ({
    certificate: sealed({ certificate: 1, ...certificate, proofs: [{ ...proof, tree }] }),
    model,
    property,
  });
  expect((await check(given(proof.tree))).proved).toBe(1);
  const [kind, input, below, above] = proof.tree as unknown as [string, number, Tree, Tree];
  for (const tree of [
    0,
    [kind, input, below],
    [kind, input],
    [kind, 99, below, above],
    [kind, input, below, above, 0],
  ])
    await expect(check(given(tree))).rejects.toThrow(/polytope 0: /);
});

test('every changed bit is refused, or changes nothing of the content; so are other models, boxes, and no data', async () => {
  const { model, property } = await splitProofs();
  const { certificate: content } = await propertyCertificate({ model, property, seconds: 20 });
  const certificate = encodeCertificate(content);
  const text = gunzipSync(certificate).toString();
  for (let bit = 0; bit < 8 * certificate.length; bit++) {
    const changed = Uint8Array.from(certificate);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    const outcome = await check({ certificate: changed, model, property }).catch(
      (error: Error) => error.message,
    );
    // A time stamp, say, of gzip.
    if (typeof outcome !== 'string') expect(gunzipSync(changed).toString()).toBe(text);
    else expect(outcome).toMatch(/^certificate: /);
  }
  const otherModel = task(12, (fc.sample(denseNetworks, { numRuns: 1, seed: 5 }) as [never])[0], 1).model;
  const otherBox = new TextEncoder().encode(new TextDecoder().decode(property).replace('X_0 0', 'X_0 -0'));
  const given: Given = { certificate, model, property };
  await expect(check({ ...given, model: otherModel })).rejects.toThrow(/about another model/);
  await expect(check({ ...given, property: otherBox })).rejects.toThrow(/about another property/);
  await expect(check({ certificate, model })).rejects.toThrow(/expected a property or images/);
  const wrong = text.replace(/"of":\[0\]/, '"of":[1]');
  await expect(check({ ...given, certificate: gzipSync(wrong) })).rejects.toThrow(/digest differs/);
  await expect(
    check({ ...given, certificate: sealed(JSON.parse(wrong.split('\n')[0] as string)) }),
  ).rejects.toThrow(/polytope 0 of the property has no proof/);
});

test('text that looks like a number is none: neither a radius nor the number of an image', async () => {
  const [net] = fc.sample(denseNetworks, { numRuns: 1, seed: 7 }) as [Parameters<typeof exportOnnx>[0]];
  const model = exportOnnx(net, singleParameters(net, 7));
  const features = (readOnnx(model)[0] as Node).size;
  const images = Uint8Array.from({ length: features }, (_, i) => 10 * i);
  const y = outputsAt(
    readOnnx(model),
    Float64Array.from(images, (v) => v / 255),
  );
  const split = { images, labels: Uint8Array.of(y.indexOf(Math.max(...y))), count: 1 };
  const sha256 = (...parts: Uint8Array[]) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  const given = (epsilon: unknown, of: unknown): Given => ({
    certificate: sealed({
      certificate: 1,
      model: sha256(model),
      claim: { images: sha256(images, split.labels), epsilon, clip: false },
      proofs: [{ of, bounds: 'crown', tree: 0 }],
    }),
    model,
    images: split,
  });
  expect(await check(given(1e-9, [0]))).toMatchObject({ proved: 1, of: 1 });
  // v + "1" is the text of v with a digit more.
  await expect(check(given('1', [0]))).rejects.toThrow(/expected an epsilon/);
  for (const numbers of [[0, '0'], ['length'], [1], [-1], [0.5], [null]])
    await expect(check(given(1e-9, numbers))).rejects.toThrow(/is none of the 1/);
});

test('images: what is certified keeps its label at sampled points, and other images are refused', async () => {
  let certified = 0;
  await fc.assert(
    fc.asyncProperty(
      nets,
      seeds,
      fc.constantFrom(1e-4, 0.01, 0.05),
      fc.boolean(),
      async (net, seed, epsilon, clip) => {
        const model = exportOnnx(net, singleParameters(net, seed));
        const nodes = readOnnx(model);
        const features = (nodes[0] as Node).size;
        const count = 4;
        const images = Uint8Array.from(uniformNumbers(`images ${seed}`, count * features), (v) => 256 * v);
        const pixels = (i: number) =>
          Float64Array.from(images.subarray(i * features, (i + 1) * features), (v) => v / 255);
        const labels = Uint8Array.from({ length: count }, (_, i) => {
          const y = outputsAt(nodes, pixels(i));
          // One label in four is wrong.
          return (y.indexOf(Math.max(...y)) + (i === 3 ? 1 : 0)) % y.length;
        });
        const split = { images, labels, count };
        const verdicts = Array.from(
          labels,
          (label, image) => ({ image, label, verdict: 'certified', stage: 'ibp', margin: 1 }) as const,
        );
        const made = await imageCertificate({
          model,
          split,
          ball: { epsilon, clip },
          verdicts,
          secondsPerImage: 0.5,
        });
        const certificate = encodeCertificate(made.certificate);
        expect((await check({ certificate, model, images: split })).proved).toBe(made.proved);
        certified += made.proved;
        for (const { of } of made.certificate.proofs)
          for (const image of of) {
            expect(image).not.toBe(3);
            for (let k = 0; k < 20; k++) {
              const u = uniformNumbers(`${k} around ${image} of ${seed}`, features);
              const point = pixels(image).map((v, i) => {
                const moved =
                  v + epsilon * (k % 2 === 0 ? Math.sign((u[i] as number) - 0.5) : 2 * (u[i] as number) - 1);
                return clip ? Math.min(1, Math.max(0, moved)) : moved;
              });
              const y = outputsAt(nodes, point);
              expect(y.indexOf(Math.max(...y))).toBe(labels[image]);
            }
          }
        const other = { ...split, images: images.map((v, i) => (i === 0 ? v ^ 1 : v)) };
        await expect(check({ certificate, model, images: other })).rejects.toThrow(/another set of images/);
        const more = {
          ...made.certificate,
          proofs: [{ of: [3], bounds: 'crown' as const, tree: 0 as const }],
        };
        await expect(check({ certificate: encodeCertificate(more), model, images: split })).rejects.toThrow(
          /^image 3: /,
        );
      },
    ),
    { numRuns: 40 },
  );
  expect(certified).toBeGreaterThan(40);
});

test('the checker is short enough to be read: at most 600 lines, comments and all', () => {
  const lines = readdirSync(HERE)
    .filter((name) => name.endsWith('.js'))
    .map((name) => readFileSync(join(HERE, name), 'utf8').split('\n').length - 1);
  expect(lines.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(600);
});

/** Loads the checker in a context of its own, which has of Node only what browsers have too. */
const BROWSER = `
import { readFile } from 'node:fs/promises';
import vm from 'node:vm';
const [folder, certificate, model, property] = process.argv.slice(2);
const globals = { Blob, Response, DecompressionStream, TextDecoder, atob, crypto };
const context = vm.createContext(globals);
const modules = new Map();
const load = async (path) => {
  const text = await readFile(path, 'utf8');
  const known = modules.get(path) ?? new vm.SourceTextModule(text, { context, identifier: path });
  modules.set(path, known);
  return known;
};
const module = await load(folder + '/check.js');
await module.link((name) => load(folder + name.replace(/^[.]/, '')));
await module.evaluate();
const [a, b, c] = await Promise.all([certificate, model, property].map((path) => readFile(path)));
const { proved } = await module.namespace.check({ certificate: a, model: b, property: c });
console.log(proved, vm.runInContext('typeof process + typeof require + typeof Buffer', context));
`;

test('it runs without Node: in a context that has only what browsers have', async () => {
  const { model, property } = await splitProofs();
  const { certificate } = await propertyCertificate({ model, property, seconds: 20 });
  const folder = mkdtempSync(join(tmpdir(), 'tautnet-checker-'));
  const files = { c: encodeCertificate(certificate), m: model, p: property, 'main.mjs': BROWSER };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const [main, ...paths] = ['main.mjs', 'c', 'm', 'p'].map((name) => join(folder, name));
  const args = ['--experimental-vm-modules', '--no-warnings', main as string, HERE, ...paths];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(stderr).toBe('');
  expect(stdout.trim()).toBe('1 undefinedundefinedundefined');
});
