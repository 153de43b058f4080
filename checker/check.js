/**
 * The checker of certificates: proves again, by its own bounds, what a certificate claims. A certificate has
 * digests of model and data, and says how to prove: bounds, splits, slopes, multipliers. None of it is
 * believed: a wrong one makes the check fail. The format: docs/reference/certificates.md.
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
const bytesOf = (text) => text && Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
/** f_y − f_j ≤ 0 for j ≠ y over the ball around an image, its pixels v/255 or float32 of that. */
export function ballPolytopes(image, label, classes, { epsilon, clip }) {
  const cut = (v) => (clip ? Math.min(1, Math.max(0, v)) : v);
  const [exact, near] = [Float64Array.from(image, (v) => v / 255), Float32Array.from(image, (v) => v / 255)];
  const lower = exact.map((v, i) => cut(down(down(Math.min(v, near[i])) - epsilon)));
  const upper = exact.map((v, i) => cut(up(up(Math.max(v, near[i])) + epsilon)));
  const row = (j) => ({ outputs: [label, j].map((k) => [k, k === label ? 1 : -1]), inputs: [], bound: 0 });
  return [...Array(classes).keys()].filter((j) => j !== label).map((j) => ({ lower, upper, rows: [row(j)] }));
}

/** Proves polytopes out of reach of a box and the signs of a path by a tree, but for leaves not `mine`. */
export function prove(nodes, box, how, tree, open, path = [], bounds = undefined) {
  const [kind, ...of] = Array.isArray(tree) ? tree : ['leaf'];
  if (kind === 'leaf' && how.mine?.() === false) return;
  if (kind === 'x') {
    const [i, below, above] = of;
    demand(of.length === 3 && box.lower[i] <= box.upper[i], 'certificate: a wrong or unfinished halving');
    const middle = box.lower[i] / 2 + box.upper[i] / 2;
    prove(nodes, { ...box, upper: box.upper.with(i, middle) }, how, below, open, path);
    return prove(nodes, { ...box, lower: box.lower.with(i, middle) }, how, above, open, path);
  }
  const slopes = (Array.isArray(how.bounds) ? how.bounds : []).values();
  bounds ??= boundNodes(nodes, box, how.bounds !== 'ibp' && (() => bytesOf(slopes.next().value)));
  if (kind === 'leaf') {
    const { a, b } = tree || {};
    const hints = { alpha: bytesOf(a), path: path.map((one, at) => [...one, Number(b?.[at] ?? 0)]) };
    const holds = (row) => lowerBound(nodes, bounds, nodes.length - 1, row, hints) > 0;
    if (!open.every(({ rows }) => rows.some(holds))) refuse('a leaf is not proved by its hints');
  } else if (kind === 'each' && of.length === open.length)
    for (const [k, part] of of.entries()) prove(nodes, box, how, part, [open[k]], path, bounds);
  else {
    const [r, i, ...branches] = of;
    const k = nodes.flatMap(({ op }, at) => (op === 'relu' ? [at] : []))[r];
    const known = kind === 'relu' && branches.length === 2 && bounds.unstable[k]?.[i] !== undefined;
    demand(known, 'certificate: a wrong or unfinished split');
    prove(nodes, box, how, branches[0], open, [...path, [k, i, 1]], bounds);
    prove(nodes, box, how, branches[1], open, [...path, [k, i, -1]], bounds);
  }
}
/** The certificate of a file: JSON, and on the next line its own digest. */
async function readCertificate(bytes) {
  const file = await plain(bytes).catch(() => refuse('certificate: the file is damaged'));
  const [text, seal] = new TextDecoder().decode(file).split('\n');
  demand(seal === (await digest(text)), 'certificate: the file is damaged or changed: its digest differs');
  const found = JSON.parse(text);
  const known = found?.certificate === 1 && found.claim && Array.isArray(found.proofs);
  const fits = known && found.proofs.every((proof) => Array.isArray(proof?.of));
  return fits ? found : refuse('certificate: expected version 1 with a claim and a list of proofs');
}
/** Refuses a certificate about other bytes. */
async function expect(what, named, ...bytes) {
  const found = await digest(...bytes);
  demand(named === found, `certificate: it is about another ${what}, of SHA-256 ${named}, not ${found}`);
}
/**
 * Checks a certificate by the bytes of the files, plain or in gzip: gives what is proved, or throws one line
 * on what is not. `share` [k, n]: each n-th proof from the k-th, or leaf of fewer; all must be asked for.
 */
export async function check({ certificate: file, model, property, images, share: [k, n] = [0, 1] }) {
  const [{ model: named, claim, proofs }, bytes] = [await readCertificate(file), await plain(model)];
  await expect('model', named, bytes);
  const [nodes, about] = [readOnnx(bytes), images ? aboutImages : aboutProperty];
  const all = await about(nodes, claim, proofs, images ?? property);
  let leaf = 0;
  const [few, mine] = [all.length < n, () => !few || leaf++ % n === k];
  const share = all.filter((_, at) => few || at % n === k);
  for (const { of, bounds, tree, polytopes } of share)
    try {
      const open = polytopes();
      prove(nodes, open[0], { bounds, mine }, tree, open);
    } catch (error) {
      refuse(`${images ? 'image' : 'polytope'} ${of.join(', ')}: ${error.message}`);
    }
  const proved = few && k > 0 ? 0 : new Set(share.flatMap(({ of }) => of)).size;
  const ball = `images keep their label within ε = ${claim.epsilon}${claim.clip ? ', cut to [0, 1]' : ''}`;
  const what = images ? ball : 'sets of unsafe outputs are out of reach';
  return { what, proved, of: images?.count ?? proved };
}

/** Proofs of one image each, with what is to be excluded for it. */
async function aboutImages(nodes, claim, proofs, { images, labels, count }) {
  await expect('set of images', claim.images, images, Uint8Array.from(labels));
  const [inputs, classes] = [nodes[0].size, nodes.at(-1).size];
  const ball = Number.isFinite(claim.epsilon) && claim.epsilon > 0 && typeof claim.clip === 'boolean';
  const fits = ball && images.length === count * inputs && labels.length === count;
  demand(fits, 'certificate: expected an epsilon, clip, and images of the size that the model reads');
  const around = (i) => {
    const known = Number.isInteger(i) && labels[i] < classes;
    demand(known, `certificate: image ${i} is none of the ${count}, or its label is no class`);
    return ballPolytopes(images.subarray(i * inputs, (i + 1) * inputs), labels[i], classes, claim);
  };
  return proofs.flatMap((how) => how.of.map((i) => ({ ...how, of: [i], polytopes: () => around(i) })));
}

/** Proofs that cover all polytopes of a property; those of a proof share their box. */
async function aboutProperty(nodes, claim, proofs, property) {
  const text = await plain(property ?? refuse('check: expected a property or images, got neither'));
  await expect('property', claim.property, text);
  const all = readVnnlib(new TextDecoder().decode(text), nodes[0].size, nodes.at(-1).size);
  const left = all.findIndex((_, index) => !proofs.some(({ of }) => of.includes(index)));
  demand(left < 0, `certificate: polytope ${left} of the property has no proof`);
  const sharing = (group) => {
    const some = group.map((index) => all[index] ?? refuse(`certificate: polytope ${index} is none`));
    const boxes = new Set(some.map(({ lower, upper }) => `${lower} ${upper}`));
    demand(boxes.size === 1, 'certificate: a proof is about polytopes of different boxes, or none');
    return some;
  };
  return proofs.map((proof) => ({ ...proof, polytopes: () => sharing(proof.of) }));
}
