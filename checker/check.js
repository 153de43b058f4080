/**
 * The checker of certificates: proves again, by its own bounds, what a certificate claims. A certificate
 * names model and data by their digests and says how to prove: bounds, splits, slopes, multipliers. None of
 * it is believed, so a wrong one makes the check fail. The format: docs/reference/certificates.md.
 *
 * @typedef {import('./onnx.js').Node} Node
 * @typedef {import('./vnnlib.js').Row} Row
 * @typedef {import('./vnnlib.js').Polytope} Polytope
 * @typedef {{ images: Uint8Array, labels: ArrayLike<number>, count: number }} Images pixels in 255ths
 * @typedef {{ what: string, proved: number, of: number }} CheckOutcome
 */
import { boundNodes, down, lowerBound, up } from './bounds.js';
import { demand, readOnnx, refuse } from './onnx.js';
import { readVnnlib } from './vnnlib.js';

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

const bytesOf = (text) =>
  typeof text === 'string' && /^[A-Za-z0-9+/]*=*$/.test(text)
    ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
    : refuse('certificate: expected bytes in base64');

/** f_y − f_j ≤ 0 for j ≠ y over the ball around an image, its pixels v/255 or float32 of that. */
export function ballPolytopes(image, label, classes, { epsilon, clip }) {
  const cut = (v) => (clip ? Math.min(1, Math.max(0, v)) : v);
  const ends = (of) => Float64Array.from({ length: 256 }, (_, v) => of(v / 255, Math.fround(v / 255)));
  const lows = ends((exact, near) => cut(down(down(Math.min(exact, near)) - epsilon)));
  const highs = ends((exact, near) => cut(up(up(Math.max(exact, near)) + epsilon)));
  const lower = new Float64Array(image.length).map((_, i) => lows[image[i]]);
  const upper = new Float64Array(image.length).map((_, i) => highs[image[i]]);
  const pairs = (j) => Object.entries({ [label]: 1, [j]: -1 }).map(([k, factor]) => [Number(k), factor]);
  const others = Array.from({ length: classes }, (_, j) => j).filter((j) => j !== label);
  return others.map((j) => ({ lower, upper, rows: [{ outputs: pairs(j), inputs: [], bound: 0 }] }));
}

/** Σ m_k (c_k·y + d_k·x − b_k), which is ≤ 0 wherever all of a polytope's rows are, as m ≥ 0. */
function combination(rows, m) {
  const fits = Array.isArray(m) && m.length === rows.length && m.every((v) => Number.isFinite(v) && v >= 0);
  demand(fits, `certificate: expected ${rows.length} multipliers of at least 0 for the rows of a polytope`);
  const sum = (part) => rows.flatMap((row, k) => row[part].map(([i, factor]) => [i, factor * m[k]]));
  const bound = rows.reduce((total, row, k) => up(total + up(row.bound * m[k])), 0);
  return { outputs: sum('outputs'), inputs: sum('inputs'), bound };
}

/**
 * Proves that polytopes of one box are out of reach, by a tree of halves of the box, then of ReLU signs.
 * @param {any} how hidden bounds: ibp, crown, or by ReLU layer base64 of the α of those before it
 */
export function prove(nodes, box, how, tree, open) {
  const [kind, i, below, above, more] = Array.isArray(tree) ? tree : [];
  if (kind === 'x') {
    const fits = above !== undefined && more === undefined && box.lower[i] <= box.upper[i];
    demand(fits, 'certificate: a wrong or unfinished split');
    const middle = box.lower[i] / 2 + box.upper[i] / 2;
    prove(nodes, { ...box, upper: box.upper.with(i, middle) }, how, below, open);
    return prove(nodes, { ...box, lower: box.lower.with(i, middle) }, how, above, open);
  }
  const known = how === 'ibp' || how === 'crown' || Array.isArray(how);
  demand(known, 'certificate: bounds are ibp, crown or a list');
  const slopes = how === 'ibp' ? undefined : how === 'crown' ? [] : how.map((text) => text && bytesOf(text));
  const relus = nodes.flatMap(({ op }, k) => (op === 'relu' ? [k] : []));
  const signs = new Map(relus.map((k) => [k, new Int8Array(nodes[k].size)]));
  proveSigns({ nodes, relus, signs, path: [], bounds: boundNodes(nodes, box, slopes) }, tree, open);
}

/** The same for the part of a box whose ReLUs have the signs that are decided. */
function proveSigns(part, tree, open) {
  const [kind, r, i, ...branches] = Array.isArray(tree) ? tree : ['leaf'];
  if (kind === 'leaf') for (const polytope of open) exclude(part, polytope, tree || {});
  else if (kind === 'each' && tree.length === open.length + 1)
    for (const [k, polytope] of open.entries()) proveSigns(part, tree[k + 1], [polytope]);
  else {
    const k = part.relus[r];
    const signs = part.signs.get(k);
    const fits = kind === 'relu' && branches.length === 2 && signs?.[i] === 0;
    demand(fits, 'certificate: a wrong or unfinished split');
    part.path.push([k, i]);
    for (const [at, sign] of [1, -1].entries()) {
      signs[i] = sign;
      proveSigns(part, branches[at], open);
    }
    signs[i] = 0;
    part.path.pop();
  }
}

/** Proves a leaf: that a polytope is out of reach. Its hints are α, β of the path and multipliers of rows. */
function exclude({ nodes, bounds, signs, path }, { rows }, { a, b = [], m }) {
  const beta = new Map();
  path.forEach(([k, i], at) => {
    if (!beta.has(k)) beta.set(k, new Float64Array(nodes[k].size));
    beta.get(k)[i] = Number(b?.[at] ?? 0);
  });
  const hints = { ...(a !== undefined && { alpha: bytesOf(a) }), signs, beta };
  const some = m === undefined ? rows : [combination(rows, m)];
  const holds = some.some((row) => lowerBound(nodes, bounds, nodes.length - 1, row, hints, true) > 0);
  demand(holds, 'a leaf is not proved by its hints');
}

/** The certificate of a file: JSON, and on the next line its own digest. */
async function readCertificate(bytes) {
  const file = await plain(bytes).catch(() => refuse('certificate: the file is damaged'));
  const [text, seal] = new TextDecoder().decode(file).split('\n');
  demand(
    seal === (await digest(text)),
    'certificate: the file is damaged or was changed: its digest differs',
  );
  const { certificate, model, claim, proofs } = JSON.parse(text) ?? {};
  const whole = typeof claim === 'object' && claim !== null && Array.isArray(proofs);
  const known = certificate === 1 && whole && proofs.every((proof) => Array.isArray(proof?.of));
  demand(known, 'certificate: expected version 1 with a claim and a list of proofs');
  return { model, claim, proofs };
}

/** Refuses a certificate about other bytes. */
async function expect(what, named, ...bytes) {
  const found = await digest(...bytes);
  demand(named === found, `certificate: it is about another ${what}, of SHA-256 ${named}, not ${found}`);
}

/**
 * Checks a certificate.
 * @param {any} given bytes of the files, plain or compressed by gzip; `share` [k, n] proves every n-th proof
 *  from the k-th alone: all n must be asked for
 * @returns {Promise<CheckOutcome>} what is proved
 * @throws Error with one line that says what is not
 */
export async function check({ certificate: file, model, property, images, share = [0, 1], progress }) {
  const { model: named, claim, proofs: all } = await readCertificate(file);
  const bytes = await plain(model);
  await expect('model', named, bytes);
  const nodes = readOnnx(bytes);
  const read = images ? aboutImages : aboutProperty;
  const { proofs, polytopesOf } = await read(nodes, claim, all, images ?? property);
  const proved = new Set();
  for (let k = share[0]; k < proofs.length; k += share[1]) {
    const { of, bounds, tree } = proofs[k];
    const open = polytopesOf(of);
    try {
      prove(nodes, open[0], bounds, tree, open);
    } catch (error) {
      refuse(`${images ? 'image' : 'polytope'} ${of.join(', ')}: ${/** @type {Error} */ (error).message}`);
    }
    for (const index of of) proved.add(index);
    progress?.(k + 1, proofs.length);
  }
  const ball = `ε = ${claim.epsilon}${claim.clip ? ', cut to [0, 1]' : ''}`;
  return images
    ? { what: `images keep their label within ${ball}`, proved: proved.size, of: images.count }
    : { what: 'sets of unsafe outputs are out of reach', proved: proved.size, of: proved.size };
}

/** Proofs of one image each, and what is to be excluded for it. */
async function aboutImages(nodes, claim, all, { images, labels, count }) {
  await expect('set of images', claim.images, images, Uint8Array.from(labels));
  const [inputs, classes] = [nodes[0].size, nodes.at(-1).size];
  const ball = Number.isFinite(claim.epsilon) && claim.epsilon > 0 && typeof claim.clip === 'boolean';
  const fits = images.length === count * inputs && labels.length === count;
  demand(ball && fits, 'certificate: expected an epsilon, clip, and images of the size that the model reads');
  const polytopesOf = ([i]) =>
    Number.isInteger(i) && labels[i] < classes
      ? ballPolytopes(images.subarray(i * inputs, (i + 1) * inputs), labels[i], classes, claim)
      : refuse(`certificate: image ${i} is none of the ${count}, or its label is no class`);
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
    const { lower, upper } = some[0] ?? refuse('certificate: a proof of nothing');
    const equal = (one, other) => one.every((v, i) => v === other[i]);
    const same = some.every((one) => equal(one.lower, lower) && equal(one.upper, upper));
    return same ? some : refuse('certificate: a proof is about polytopes of different boxes');
  };
  return { proofs, polytopesOf };
}
