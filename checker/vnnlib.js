/**
 * Reader of VNN-LIB 1.0: boxes of inputs with polytopes c·y + d·x ≤ b of unsafe outputs, in the order of the
 * file. Ends of boxes and b are moved outwards, as decimals are rounded when they are read; c and d may be
 * off by 2⁻⁵² of their size, which the bounds allow for. Strict inequalities count as ≤: more is unsafe then.
 *
 * @typedef {{ outputs: [number, number][], inputs: [number, number][], bound: number }} Row
 *   pairs of an output's or input's number and its factor, which add up
 * @typedef {{ lower: Float64Array, upper: Float64Array, rows: Row[] }} Polytope
 */
import { down, up } from './bounds.js';
import { demand, refuse } from './onnx.js';

/** Nested lists of words. */
function parse(text) {
  /** @type {any[]} */
  const open = [[]];
  for (const token of text.replace(/;.*/g, '').match(/[()]|[^\s()]+/g) ?? []) {
    if (token === '(') open.push([]);
    else if (token !== ')') open.at(-1).push(token);
    else if (open.length === 1) refuse('property: a parenthesis closes that was not opened');
    else open.at(-2).push(open.pop());
  }
  return open.length === 1 ? open[0] : refuse('property: a parenthesis is not closed');
}

function numberOf(text) {
  const fits = typeof text === 'string' && /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text);
  demand(fits && Number.isFinite(Number(text)), `property: expected a number, got ${text}`);
  return Number(text);
}

/** Adds factor · expression to factors by variable, '' for the constant; nothing may add up that rounds. */
function collect(expression, factor, factors) {
  if (Array.isArray(expression)) {
    const [op, ...of] = expression;
    if (op === '*' && of.length === 2 && Math.abs(factor) === 1)
      collect(of[1], factor * numberOf(of[0]), factors);
    else if (op !== '+' && op !== '-') refuse(`property: expected a linear term, got (${op} …)`);
    else
      for (const [k, part] of of.entries())
        collect(part, op === '+' || (k === 0 && of.length > 1) ? factor : -factor, factors);
    return;
  }
  const name = /^[XY]_\d+$/.test(expression) ? expression : '';
  demand(!factors.get(name), `property: ${name || 'a number'} stands twice in a constraint; write it once`);
  factors.set(name, name ? factor : factor * numberOf(expression));
}

/** All conjunctions of (one of A) and (one of B). */
const both = (left, right) =>
  left.length * right.length > 1e5
    ? refuse('property: more than 100,000 conjunctions')
    : left.flatMap((one) => right.map((other) => [...one, ...other]));

/** Conjunctions, one of which an assertion demands: lists of factors by variable of a term ≤ 0. */
function disjuncts(assertion) {
  const [op, ...of] = assertion;
  if (op === 'or') return of.flatMap(disjuncts);
  if (op === 'and') return of.map(disjuncts).reduce(both, [[]]);
  if (!/^[<>]=?$/.test(op) || of.length !== 2) refuse(`property: expected and, or, <= or >=, got (${op} …)`);
  const factors = new Map();
  const sign = op[0] === '<' ? 1 : -1;
  collect(of[0], sign, factors);
  collect(of[1], -sign, factors);
  return [[factors]];
}

/** Unsafe polytopes of a file. @returns {Polytope[]} */
export function readVnnlib(text, inputs, outputs) {
  const declared = new Set();
  let all = [[]];
  for (const [command, argument] of parse(text)) {
    if (command === 'declare-const') declared.add(argument);
    else if (command === 'assert') all = both(all, disjuncts(argument));
    else refuse(`property: expected declare-const or assert, got ${command}`);
  }
  const known = (name) => Number(name.slice(2)) < (name[0] === 'X' ? inputs : outputs);
  const each = [...declared].every((name) => /^[XY]_\d+$/.test(name) && known(name));
  const variables = `X_0 to X_${inputs - 1} and Y_0 to Y_${outputs - 1}`;
  demand(
    each && declared.size === inputs + outputs,
    `property: expected ${variables}, as the model has them`,
  );
  return all.map((terms) => polytopeOf(terms, inputs, known));
}

function polytopeOf(terms, inputs, known) {
  const [lower, upper] = [new Float64Array(inputs).fill(-Infinity), new Float64Array(inputs).fill(Infinity)];
  const rows = [];
  for (const factors of terms) {
    const [constant, names] = [factors.get('') ?? 0, [...factors.keys()].filter((name) => name !== '')];
    if (!names.every(known)) refuse('property: a variable is not one of the model');
    const [i, factor] = [Number(names[0]?.slice(2)), factors.get(names[0])];
    const pair = (name) => /** @type {[number, number]} */ ([Number(name.slice(2)), factors.get(name)]);
    const part = (kind) => names.filter((name) => name[0] === kind).map(pair);
    if (names.length !== 1 || names[0][0] !== 'X' || Math.abs(factor) !== 1)
      rows.push({ outputs: part('Y'), inputs: part('X'), bound: up(-constant) });
    else if (factor > 0) upper[i] = Math.min(upper[i], up(-constant));
    else lower[i] = Math.max(lower[i], down(constant));
  }
  demand([...lower, ...upper].every(Number.isFinite), 'property: an input has no bound');
  return { lower, upper, rows };
}
