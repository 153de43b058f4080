/**
 * Reader of VNN-LIB 1.0: boxes of inputs with polytopes c·y + d·x ≤ b of unsafe outputs, in the order of the
 * file. Ends of boxes and b are moved outwards, as decimals are rounded when they are read; c and d may be
 * off by 2⁻⁵² of their size, which the bounds allow for. Strict inequalities count as ≤: more is unsafe then.
 */
import { down, up } from './bounds.js';
import { demand, refuse } from './onnx.js';

/** Nested lists of words. */
function parse(text) {
  const open = [[]];
  for (const token of text.replace(/;.*/g, '').match(/[()]|[^\s()]+/g) ?? []) {
    if (token === '(') open.push([]);
    else if (token !== ')') open.at(-1).push(token);
    else if (open.length > 1) open.at(-2).push(open.pop());
    else refuse('property: a parenthesis closes that was not opened');
  }
  demand(open.length === 1, 'property: a parenthesis is not closed');
  return open[0];
}

function numberOf(text) {
  const fits = typeof text === 'string' && /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text);
  demand(fits && Number.isFinite(Number(text)), `property: expected a number, got ${text}`);
  return Number(text);
}

/** Adds factor · expression to factors by variable, '' for the constant; nothing may add up that rounds. */
function collect(expression, factor, factors) {
  if (!Array.isArray(expression)) {
    const name = /^[XY]_\d+$/.test(expression) ? expression : '';
    demand(!factors.get(name), `property: ${name || 'a number'} stands twice in a constraint; write it once`);
    factors.set(name, name ? factor : factor * numberOf(expression));
    return;
  }
  const [op, ...of] = expression;
  if (op === '*' && of.length === 2 && Math.abs(factor) === 1)
    return collect(of[1], factor * numberOf(of[0]), factors);
  demand(op === '+' || op === '-', `property: expected a linear term, got (${op} …)`);
  for (const [k, part] of of.entries())
    collect(part, op === '+' || (k === 0 && of.length > 1) ? factor : -factor, factors);
}

/** All conjunctions of (one of A) and (one of B). */
function both(left, right) {
  demand(left.length * right.length <= 1e5, 'property: more than 100,000 conjunctions');
  return left.flatMap((one) => right.map((other) => [...one, ...other]));
}

/** Conjunctions, one of which an assertion demands: lists of factors by variable of a term ≤ 0. */
function disjuncts([op, ...of]) {
  if (op === 'or') return of.flatMap(disjuncts);
  if (op === 'and') return of.map(disjuncts).reduce(both, [[]]);
  demand(/^[<>]=?$/.test(op) && of.length === 2, `property: expected and, or, <= or >=, got (${op} …)`);
  const [factors, sign] = [new Map(), op[0] === '<' ? 1 : -1];
  collect(of[0], sign, factors);
  collect(of[1], -sign, factors);
  return [[factors]];
}

/** Unsafe polytopes of a file. */
export function readVnnlib(text, inputs, outputs) {
  const declared = new Set();
  let all = [[]];
  for (const [command, argument] of parse(text)) {
    if (command === 'declare-const') declared.add(argument);
    else if (command === 'assert') all = both(all, disjuncts(argument));
    else refuse(`property: expected declare-const or assert, got ${command}`);
  }
  const names = [...Array(inputs).keys()].map((i) => `X_${i}`);
  names.push(...[...Array(outputs).keys()].map((j) => `Y_${j}`));
  const same = declared.size === names.length && names.every((name) => declared.has(name));
  const last = `X_0 to X_${inputs - 1} and Y_0 to Y_${outputs - 1}`;
  demand(same, `property: expected ${last}, as the model has them`);
  return all.map((terms) => polytopeOf(terms, inputs, declared));
}

function polytopeOf(terms, inputs, declared) {
  const [lower, upper] = [new Float64Array(inputs).fill(-Infinity), new Float64Array(inputs).fill(Infinity)];
  const rows = [];
  for (const factors of terms) {
    const pairs = { X: [], Y: [] };
    for (const [name, factor] of factors) {
      if (name === '') continue;
      demand(declared.has(name), `property: a variable is not one of the model, ${name}`);
      pairs[name[0]].push([Number(name.slice(2)), factor]);
    }
    const [constant, [i, factor] = []] = [factors.get('') ?? 0, ...pairs.X];
    if (pairs.X.length + pairs.Y.length !== 1 || Math.abs(factor) !== 1)
      rows.push({ outputs: pairs.Y, inputs: pairs.X, bound: up(-constant) });
    else if (factor > 0) upper[i] = Math.min(upper[i], up(-constant));
    else lower[i] = Math.max(lower[i], down(constant));
  }
  demand([...lower, ...upper].every(Number.isFinite), 'property: an input has no bound');
  return { lower, upper, rows };
}
