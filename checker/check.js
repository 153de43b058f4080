/**
 * The checker of certificates: proves again, by its own bounds, what a certificate claims. A certificate
 * names model and data by their digests and says how to prove: bounds, splits, slopes, multipliers. None of
 * it is believed, so a wrong one makes the check fail. The format: docs/reference/certificates.md.
 */
import { boundNodes, down, lowerBound, up } from './bounds.js';
import { demand, readOnnx, refuse } from './onnx.js';
import { readVnnlib } from './vnnlib.js';

const WRONG = 'certificate: a wrong or unfinished split';

/** The bytes of a file, taken out of gzip where they are in it. */
export async function plain(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** SHA-256 in hexadecimal, of parts one after the other. */
export async function digest(...parts) {
  const bytes = await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer());
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function bytesOf(text) {
  const fits = typeof text === 'string' && /^[A-Za-z0-9+/]*=*$/.test(text);
  demand(fits, 'certificate: expected bytes in base64');
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** f_y − f_j ≤ 0 for j ≠ y over the ball around an image, its pixels v/255 or float32 of that. */
export function ballPolytopes(image, label, classes, { epsilon, clip }) {
  const cut = (v) => (clip ? Math.min(1, Math.max(0, v)) : v);
  const ends = (of) => Float64Array.from({ length: 256 }, (_, v) => cut(of(v / 255, Math.fround(v / 255))));
  const lows = ends((exact, near) => down(down(Math.min(exact, near)) - epsilon));
  const highs = ends((exact, near) => up(up(Math.max(exact, near)) + epsilon));
  const [lower, upper] = [lows, highs].map((of) => Float64Array.from(image, (v) => of[v]));
  const others = Array.from({ length: classes }, (_, j) => j).filter((j) => j !== label);
  const row = (j) => ({
    outputs: [
      [label, 1],
      [j, -1],
    ],
    inputs: [],
    bound: 0,
  });
  return others.map((j) => ({ lower, upper, rows: [row(j)] }));
}

/**
 * Proves polytopes out of reach of a box whose ReLUs have the signs of a path, by a tree of halves, signs.
 */
export function prove(nodes, box, how, tree, open, path = [], bounds = undefined) {
  const [kind, ...of] = Array.isArray(tree) ? tree : ['leaf'];
  if (kind === 'x') {
    const [i, below, above] = of;
    demand(of.length === 3 && box.lower[i] <= box.upper[i], WRONG);
    const middle = box.lower[i] / 2 + box.upper[i] / 2;
    prove(nodes, { ...box, upper: box.upper.with(i, middle) }, how, below, open, path);
    return prove(nodes, { ...box, lower: box.lower.with(i, middle) }, how, above, open, path);
  }
  demand(how === 'ibp' || how === 'crown', 'certificate: bounds are ibp or crown');
  bounds ??= boundNodes(nodes, box, how === 'crown');
  if (kind === 'leaf') for (const polytope of open) exclude(nodes, bounds, path, polytope, tree || {});
  else if (kind === 'each' && of.length === open.length)
    for (const [k, part] of of.entries()) prove(nodes, box, how, part, [open[k]], path, bounds);
  else {
    const [r, i, ...branches] = of;
    const k = nodes.flatMap(({ op }, at) => (op === 'relu' ? [at] : []))[r];
    demand(kind === 'relu' && branches.length === 2 && bounds.unstable[k]?.[i] !== undefined, WRONG);
    for (const [at, sign] of [1, -1].entries())
      prove(nodes, box, how, branches[at], open, [...path, [k, i, sign]], bounds);
  }
}

/** Proves a leaf: that a polytope is out of reach. Its hints are α and β of the path. */
function exclude(nodes, bounds, path, { rows }, { a, b }) {
  const [signs, beta] = [new Map(), new Map()];
  for (const [at, [k, i, sign]] of path.entries()) {
    if (!signs.has(k)) signs.set(k, new Int8Array(nodes[k].size));
    if (!beta.has(k)) beta.set(k, new Float64Array(nodes[k].size));
    signs.get(k)[i] = sign;
    beta.get(k)[i] = Number(b?.[at] ?? 0);
  }
  const hints = { alpha: a === undefined ? a : bytesOf(a), signs, beta };
  const holds = rows.some((row) => lowerBound(nodes, bounds, nodes.length - 1, row, hints) > 0);
  demand(holds, 'a leaf is not proved by its hints');
}

/** The certificate of a file: JSON, and on the next line its own digest. */
async function readCertificate(bytes) {
  const file = await plain(bytes).catch(() => refuse('certificate: the file is damaged'));
  const [text, seal] = new TextDecoder().decode(file).split('\n');
  const whole = seal === (await digest(text));
  demand(whole, 'certificate: the file is damaged or was changed: its digest differs');
  const found = JSON.parse(text);
  const known = found?.certificate === 1 && found.claim && Array.isArray(found.proofs);
  const fits = known && found.proofs.every((proof) => Array.isArray(proof?.of));
  demand(fits, 'certificate: expected version 1 with a claim and a list of proofs');
  return found;
}

/** Refuses a certificate about other bytes. */
async function expect(what, named, ...bytes) {
  const found = await digest(...bytes);
  demand(named === found, `certificate: it is about another ${what}, of SHA-256 ${named}, not ${found}`);
}

/**
 * Checks a certificate by the bytes of the files, plain or compressed by gzip; `share` [k, n] proves every
 * n-th proof from the k-th alone: all n must be asked for. Gives what is proved, or throws one line on what
 * is not.
 */
export async function check({ certificate: file, model, property, images, share = [0, 1], progress }) {
  const [{ model: named, claim, proofs: all }, bytes] = [await readCertificate(file), await plain(model)];
  await expect('model', named, bytes);
  const [nodes, read] = [readOnnx(bytes), images ? aboutImages : aboutProperty];
  const { proofs, polytopesOf } = await read(nodes, claim, all, images ?? property);
  const proved = new Set();
  for (let k = share[0]; k < proofs.length; k += share[1]) {
    const { of, bounds, tree } = proofs[k];
    const open = polytopesOf(of);
    try {
      prove(nodes, open[0], bounds, tree, open);
    } catch (error) {
      refuse(`${images ? 'image' : 'polytope'} ${of.join(', ')}: ${error.message}`);
    }
    for (const index of of) proved.add(index);
    progress?.(k + 1, proofs.length);
  }
  const ball = `ε = ${claim.epsilon}${claim.clip ? ', cut to [0, 1]' : ''}`;
  const what = images ? `images keep their label within ${ball}` : 'sets of unsafe outputs are out of reach';
  return { what, proved: proved.size, of: images?.count ?? proved.size };
}

/** Proofs of one image each, and what is to be excluded for it. */
async function aboutImages(nodes, claim, all, { images, labels, count }) {
  await expect('set of images', claim.images, images, Uint8Array.from(labels));
  const [inputs, classes] = [nodes[0].size, nodes.at(-1).size];
  const ball = Number.isFinite(claim.epsilon) && claim.epsilon > 0 && typeof claim.clip === 'boolean';
  const fits = ball && images.length === count * inputs && labels.length === count;
  demand(fits, 'certificate: expected an epsilon, clip, and images of the size that the model reads');
  const polytopesOf = ([i]) => {
    const known = Number.isInteger(i) && labels[i] < classes;
    demand(known, `certificate: image ${i} is none of the ${count}, or its label is no class`);
    return ballPolytopes(images.subarray(i * inputs, (i + 1) * inputs), labels[i], classes, claim);
  };
  return { proofs: all.flatMap(({ of, ...how }) => of.map((i) => ({ of: [i], ...how }))), polytopesOf };
}

/** Proofs that cover all polytopes of a property; those of a proof share their box. */
async function aboutProperty(nodes, claim, proofs, property) {
  const text = await plain(property ?? refuse('check: expected a property or images, got neither'));
  await expect('property', claim.property, text);
  const all = readVnnlib(new TextDecoder().decode(text), nodes[0].size, nodes.at(-1).size);
  const left = all.findIndex((_, index) => !proofs.some(({ of }) => of.includes(index)));
  demand(left < 0, `certificate: polytope ${left} of the property has no proof`);
  const polytopesOf = (group) => {
    const some = group.map((index) => all[index] ?? refuse(`certificate: polytope ${index} is none`));
    demand(some.length > 0, 'certificate: a proof of nothing');
    const equal = (one, other) => one.every((v, i) => v === other[i]);
    const same = some.every((one) => equal(one.lower, some[0].lower) && equal(one.upper, some[0].upper));
    demand(same, 'certificate: a proof is about polytopes of different boxes');
    return some;
  };
  return { proofs, polytopesOf };
}
