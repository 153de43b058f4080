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
  const fits = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text) && Number.isFinite(Number(text));
  return fits ? Number(text) : refuse(`property: expected a number, got ${text}`);
}
/** Adds factor · expression to factors by variable, '' for the constant; nothing may add up that rounds. */
function collect(expression, factor, factors) {
  const [op, ...of] = Array.isArray(expression) ? expression : [];
  if (op === undefined) {
    const name = /^[XY]_\d+$/.test(expression) ? expression : '';
    demand(!factors.get(name), `property: ${name || 'a number'} stands twice in a constraint; write it once`);
    factors.set(name, name ? factor : factor * numberOf(expression));
  } else if (op === '*' && of.length === 2 && Math.abs(factor) === 1)
    collect(of[1], factor * numberOf(of[0]), factors);
  else {
    demand(op === '+' || op === '-', `property: expected a linear term, got (${op} …)`);
    const sign = (k) => (op === '+' || (k === 0 && of.length > 1) ? 1 : -1);
    for (const [k, part] of of.entries()) collect(part, sign(k) * factor, factors);
  }
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
  const factors = new Map();
  for (const [k, part] of of.entries()) collect(part, k === (op[0] === '<' ? 0 : 1) ? 1 : -1, factors);
  return [[factors]];
}
function polytopeOf(terms, inputs, declared) {
  const [lower, upper] = [new Float64Array(inputs).fill(-Infinity), new Float64Array(inputs).fill(Infinity)];
  const rows = [];
  for (const factors of terms) {
    const [constant, pairs] = [factors.get('') ?? 0, { X: [], Y: [] }];
    for (const [name, factor] of factors) {
      demand(name === '' || declared.has(name), `property: a variable is not one of the model, ${name}`);
      pairs[name[0]]?.push([Number(name.slice(2)), factor]);
    }
    const [[i, factor] = [], alone] = [pairs.X[0], pairs.X.length + pairs.Y.length === 1];
    if (alone && factor === 1) upper[i] = Math.min(upper[i], up(-constant));
    else if (alone && factor === -1) lower[i] = Math.max(lower[i], down(constant));
    else rows.push({ outputs: pairs.Y, inputs: pairs.X, bound: up(-constant) });
  }
  demand([...lower, ...upper].every(Number.isFinite), 'property: an input has no bound');
  return { lower, upper, rows };
}

/** Unsafe polytopes of a file. */
export function readVnnlib(text, inputs, outputs) {
  const [declared, demanded] = [new Set(), []];
  for (const [command, argument] of parse(text))
    if (command === 'declare-const') declared.add(argument);
    else if (command === 'assert') demanded.push(disjuncts(argument));
    else refuse(`property: expected declare-const or assert, got ${command}`);
  const has = (letter, count) => [...Array(count).keys()].every((i) => declared.has(`${letter}_${i}`));
  const same = declared.size === inputs + outputs && has('X', inputs) && has('Y', outputs);
  demand(
    same,
    `property: expected X_0 to X_${inputs - 1} and Y_0 to Y_${outputs - 1}, as the model has them`,
  );
  return demanded.reduce(both, [[]]).map((terms) => polytopeOf(terms, inputs, declared));
}
