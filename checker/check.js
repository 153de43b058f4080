/**
 * The checker of certificates: proves again, by its own bounds, what a certificate claims. A certificate only
 * names models and boxes by their digests and says how to prove: bounds, splits, slopes and multipliers. None of
 * it is believed, so a wrong one makes the check fail. See docs/guide/certificates.md for the format.
 *
 * @typedef {import('./onnx.js').Node} Node
 * @typedef {import('./vnnlib.js').Row} Row
 * @typedef {import('./vnnlib.js').Polytope} Polytope
 * @typedef {{ images: Uint8Array, labels: ArrayLike<number>, count: number }} Images pixels in 255ths
 * @typedef {{ what: string, proved: number, of: number }} Outcome
 */
import { boundNodes, down, lowerBound, up } from './bounds.js';
import { readOnnx, refuse } from './onnx.js';
import { readVnnlib } from './vnnlib.js';

/** The bytes of a file, taken out of gzip where they are in it. */
export async function plain(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([/** @type {any} */ (bytes)]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** SHA-256 in hexadecimal. @param {Uint8Array[]} parts one after the other */
export async function digest(...parts) {
  const all = new Uint8Array(await new Blob(/** @type {any} */ (parts)).arrayBuffer());
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const bytesOf = (text) =>
  typeof text === 'string' && /^[A-Za-z0-9+/]*=*$/.test(text)
    ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
    : refuse('certificate: expected bytes in base64');

/** f_y − f_j ≤ 0 for the classes j ≠ y over the ball around an image, its pixels v/255 or float32 of that. */
export function ballPolytopes(image, label, classes, ball) {
  const { epsilon, clip } = ball;
  const end = (v) => (clip ? Math.min(1, Math.max(0, v)) : v);
  const lower = new Float64Array(image.length);
  const upper = new Float64Array(image.length);
  image.forEach((v, i) => {
    const [exact, near] = [v / 255, Math.fround(v / 255)];
    lower[i] = end(down(down(Math.min(exact, near)) - epsilon));
    upper[i] = end(up(up(Math.max(exact, near)) + epsilon));
  });
  const others = Array.from({ length: classes }, (_, j) => j).filter((j) => j !== label);
  return others.map((j) => ({
    lower,
    upper,
    rows: [
      {
        outputs: [
          [label, 1],
          [j, -1],
        ],
        inputs: [],
        bound: 0,
      },
    ],
  }));
}

/** Σ m_k (c_k·y + d_k·x − b_k), which is ≤ 0 wherever all of a polytope's rows are, as m ≥ 0. @returns {Row} */
function combination(rows, m) {
  if (!Array.isArray(m) || m.length !== rows.length || !m.every((v) => v >= 0 && v < Infinity))
    refuse(`certificate: expected ${rows.length} multipliers of at least 0 for the rows of a polytope`);
  const times = (part) =>
    rows.flatMap((row, k) =>
      row[part].map(([i, factor]) => /** @type {[number, number]} */ ([i, factor * m[k]])),
    );
  const bound = rows.reduce((sum, row, k) => up(sum + up(row.bound * m[k])), 0);
  return { outputs: times('outputs'), inputs: times('inputs'), bound };
}

/** One part of a box: its bounds, the signs decided so far, and how leaves of its tree are proved. */
class Part {
  constructor(nodes, box, how) {
    if (!['ibp', 'crown'].includes(how) && !Array.isArray(how))
      refuse('certificate: bounds are ibp, crown or a list');
    const slopes = how === 'crown' ? [] : how.map?.((text) => (text ? bytesOf(text) : undefined));
    this.nodes = nodes;
    this.relus = nodes.flatMap(({ op }, k) => (op === 'relu' ? [k] : []));
    this.bounds = boundNodes(nodes, box, how === 'ibp' ? undefined : slopes);
    this.signs = new Map(this.relus.map((k) => [k, new Int8Array(nodes[k].size)]));
    /** @type {[number, number][]} */
    this.path = [];
  }
  /** Proves that polytopes are out of reach of the inputs of the part, by a tree of ReLU signs. */
  prove(tree, open) {
    if (!Array.isArray(tree)) {
      for (const polytope of open) this.exclude(polytope, tree || {});
      return;
    }
    const [kind, r, i] = tree;
    if (kind === 'each' && tree.length === open.length + 1) {
      for (const [k, polytope] of open.entries()) this.prove(tree[k + 1], [polytope]);
      return;
    }
    const k = this.relus[r];
    const signs = this.signs.get(k);
    if (kind !== 'relu' || tree.length !== 5 || signs?.[i] !== 0)
      refuse(
        'certificate: expected "each" with a tree for each polytope, or "relu" with a ReLU that is not decided and two branches',
      );
    this.path.push([k, i]);
    for (const [branch, sign] of [
      [tree[3], 1],
      [tree[4], -1],
    ]) {
      signs[i] = sign;
      this.prove(branch, open);
    }
    signs[i] = 0;
    this.path.pop();
  }
  exclude({ rows }, { a, b = [], m }) {
    const beta = new Map();
    this.path.forEach(([k, i], at) => {
      if (!beta.has(k)) beta.set(k, new Float64Array(this.nodes[k].size));
      beta.get(k)[i] = Number(b[at] ?? 0);
    });
    const hints = { ...(a !== undefined && { alpha: bytesOf(a) }), signs: this.signs, beta };
    const last = this.nodes.length - 1;
    const some = m === undefined ? rows : [combination(rows, m)];
    if (!some.some((row) => lowerBound(this.nodes, this.bounds, last, row, hints, true) > 0))
      refuse('a leaf is not proved by its hints');
  }
}

/** Proves that polytopes of one box are out of reach, by a tree of halves of the box, then of ReLU signs. */
export function prove(nodes, box, how, tree, open) {
  if (!Array.isArray(tree) || tree[0] !== 'x') return new Part(nodes, box, how).prove(tree, open);
  const [, i, below, above] = tree;
  if (tree.length !== 4 || !(box.lower[i] <= box.upper[i]))
    refuse('certificate: expected "x" with an input and two branches');
  const middle = box.lower[i] / 2 + box.upper[i] / 2;
  prove(nodes, { lower: box.lower, upper: box.upper.with(i, middle) }, how, below, open);
  prove(nodes, { lower: box.lower.with(i, middle), upper: box.upper }, how, above, open);
}

/** The certificate of a file. @throws Error for what is none */
async function readCertificate(bytes) {
  const text = await plain(bytes).catch(() => refuse('certificate: the file is damaged'));
  /** @type {any} */
  let certificate;
  try {
    certificate = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    refuse('certificate: expected JSON, plain or compressed by gzip');
  }
  const { certificate: version, claim, proofs } = certificate ?? {};
  const whole = typeof claim === 'object' && claim !== null && Array.isArray(proofs);
  if (version !== 1 || !whole || !proofs.every((proof) => Array.isArray(proof?.of)))
    refuse('certificate: expected version 1 with a claim and a list of proofs');
  return certificate;
}

/**
 * Checks a certificate.
 * @param {{ certificate: Uint8Array, model: Uint8Array, property?: Uint8Array, images?: Images,
 *   share?: [number, number], progress?: (done: number, total: number) => void }} given bytes of the files, plain
 *   or compressed by gzip; `share` [k, n] proves every n-th proof from the k-th alone: all n must be asked for
 * @returns {Promise<Outcome>} what is proved @throws Error with one line that says what is not
 */
export async function check({ certificate: file, model, property, images, share = [0, 1], progress }) {
  const certificate = await readCertificate(file);
  const { claim } = certificate;
  const bytes = await plain(model);
  await expect('model', certificate.model, bytes);
  const nodes = readOnnx(bytes);
  const [inputs, outputs] = [nodes[0].size, nodes[nodes.length - 1].size];
  /** @type {{ of: number[], bounds: any, tree: any }[]} */
  let proofs = certificate.proofs;
  let polytopesOf;
  if (images) {
    await expect('set of images', claim.images, images.images, Uint8Array.from(images.labels));
    const ball = claim.epsilon > 0 && claim.epsilon < Infinity && typeof claim.clip === 'boolean';
    if (!ball || images.images.length !== images.count * inputs || images.labels.length !== images.count)
      refuse('certificate: expected an epsilon, clip, and images of the size that the model reads');
    proofs = proofs.flatMap(({ of, ...how }) => of.map((i) => ({ of: [i], ...how })));
    polytopesOf = ([i]) => imagePolytopes(images, i, outputs, claim);
  } else {
    const text = await plain(property ?? refuse('check: expected a property or images, got neither'));
    await expect('property', claim.property, text);
    const all = readVnnlib(new TextDecoder().decode(text), inputs, outputs);
    const left = all.findIndex((_, index) => !proofs.some(({ of }) => of.includes(index)));
    if (left >= 0) refuse(`certificate: polytope ${left} of the property has no proof`);
    polytopesOf = (group) => sharing(all, group);
  }
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
  const radius = `ε = ${claim.epsilon}${claim.clip ? ', cut to [0, 1]' : ''}`;
  const what = images
    ? `images keep their label within ${radius}`
    : 'sets of unsafe outputs are out of reach';
  return { what, proved: proved.size, of: images ? images.count : proved.size };
}

/** Refuses a certificate about other bytes. */
async function expect(what, named, ...bytes) {
  const found = await digest(...bytes);
  if (named !== found) refuse(`certificate: it is about another ${what}, of SHA-256 ${named}, not ${found}`);
}

function imagePolytopes(images, i, classes, ball) {
  const label = images.labels[i];
  if (!(label < classes))
    refuse(`certificate: image ${i} is none of the ${images.count}, or its label is no class`);
  const features = images.images.length / images.count;
  return ballPolytopes(images.images.subarray(i * features, (i + 1) * features), label, classes, ball);
}

/** Polytopes by number, which must share their box. @returns {Polytope[]} */
function sharing(all, group) {
  const some = group.map(
    (index) => all[index] ?? refuse(`certificate: polytope ${index} is none of the property`),
  );
  const [{ lower, upper } = refuse('certificate: a proof of nothing')] = some;
  const same = (one) =>
    one.lower.every((v, i) => v === lower[i]) && one.upper.every((v, i) => v === upper[i]);
  return some.every(same) ? some : refuse('certificate: a proof is about polytopes of different boxes');
}
