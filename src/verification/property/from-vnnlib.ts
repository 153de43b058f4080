/**
 * From the constraints of a VNN-LIB file to unsafe polytopes.
 *
 * Constraints of one input become bounds of the box, all others rows of inequalities; `and` is distributed
 * over `or`, contradictory boxes are dropped on the way, and equal boxes and equal rows are the same objects.
 * The bound of c·x ≤ b is b/c where c is a power of two. Otherwise it is moved outwards by more than its
 * rounding, and c·x ≤ b stays as a row: a case is dropped only where its constraints exclude each other as
 * they are written, decimals rounded to nearest.
 */
import { FormatError } from '../../formats/format-error.js';
import { type LinearConstraint, tensorsOf, type VnnlibProperty, variableName } from '../../formats/vnnlib.js';
import { createBoxSearch } from './box-search.js';
import { forEachDisjunct } from './disjuncts.js';
import { tightenByInequalities } from './implied-bounds.js';
import { type Links, linked, plainLinks } from './links.js';
import type { Inequality, Polytope, Property, StrictInput } from './property.js';

/** The competition's largest files have 20,000. */
export const MOST_POLYTOPES = 100_000;
/** Float64 that boxes and rows hold together: half a gigabyte. */
const MOST_NUMBERS = 2 ** 26;
/** Constraints added during the search, whether it led to a polytope or not. */
const MOST_STEPS = 5e7;

/**
 * The property of a network with so many inputs and outputs.
 * @throws FormatError when the file is about another number of either, or as `propertyOf`
 */
export function propertyFor(
  vnnlib: VnnlibProperty,
  network: { readonly inputs: number; readonly outputs: number },
): Property {
  const { source, inputs, outputs } = vnnlib;
  if (inputs !== network.inputs || outputs !== network.outputs) {
    throw new FormatError(
      `${source}: expected a property of the network's ${network.inputs} inputs and ${network.outputs} ` +
        `outputs, got one of ${inputs} inputs and ${outputs} outputs; check that both belong together`,
    );
  }
  return propertyOf(vnnlib);
}

/**
 * The unsafe polytopes, in the order of the file.
 * @throws FormatError when an input is unbounded, no box has lower ≤ upper, no output is constrained, the
 *  polytopes are more than `MOST_POLYTOPES` or too large altogether, or it is a query of several networks or
 *  tensors, which `linkedPropertyOf` is for
 */
export function propertyOf(vnnlib: VnnlibProperty): Property {
  const { source, inputs, networks = [] } = vnnlib;
  if (tensorsOf(networks).length > 2)
    throw new FormatError(
      `${source}: expected one network with one input and one output, got ` +
        `${tensorsOf(networks)
          .slice(0, 5)
          .map(({ name }) => name)
          .join(', ')}; give its models with --network, or to verifyQuery`,
    );
  return linkedPropertyOf(vnnlib, plainLinks(inputs));
}

/**
 * The same over the free inputs and the outputs, hidden tensors among them, of a query of several tensors.
 * A query may be of inputs alone, and without polytopes where its assertions exclude each other.
 * @throws FormatError as above, or where float64 does not hold a sum of coefficients
 */
export function linkedPropertyOf(vnnlib: VnnlibProperty, links: Links): Property {
  const { source, outputs, constraint, networks } = vnnlib;
  const inputs = links.free.length;
  const nameOf = (input: number): string => variableName(links.free[input] as number, networks);
  const fail = (message: string): never => {
    throw new FormatError(`${source}: ${message}`);
  };
  const isLinked = links.of.some((variable, i) => variable !== i);
  const search = createBoxSearch(inputs);
  const rowOf = createRows(inputs, outputs);
  const unsafe: Inequality[] = [];
  const strictInputs: StrictInput[] = [];
  const polytopes: Polytope[] = [];
  let contradiction: string | undefined;
  let numbers = 0;
  let constrainsOutputs = false;

  const tooLarge = (): never =>
    fail(
      `expected at most ${MOST_POLYTOPES} polytopes that fit half a gigabyte after distributing and over ` +
        'or, got more; split the property into several files',
    );

  const addRow = (added: LinearConstraint): void => {
    const row = rowOf(added);
    numbers += row.created;
    if (numbers > MOST_NUMBERS) tooLarge();
    unsafe.push(row.inequality);
  };
  const assume = (said: LinearConstraint): boolean => {
    const added = isLinked
      ? (linked(links, said) ??
        fail('expected coefficients whose sum float64 holds, got others of equal inputs'))
      : said;
    const { variables, coefficients, bound, strict } = added;
    const [variable, coefficient] = [variables[0], coefficients[0] as number];
    if (variable === undefined) {
      if (strict ? bound > 0 : bound >= 0) return true;
      contradiction ??= 'a comparison of constants that is false';
      return false;
    }
    if (variables.length === 1 && variable >= 0) {
      const [lower, upper] = search.bounds(variable);
      const exact = isPowerOfTwo(coefficient);
      const limit = exact ? bound / coefficient : quotientBeyond(bound, coefficient);
      if (!exact) addRow(added);
      else if (strict) strictInputs.push({ input: variable, sign: coefficient > 0 ? 1 : -1, bound: limit });
      if (coefficient > 0 ? search.below(variable, limit) : search.above(variable, limit)) return true;
      const [low, high] = coefficient > 0 ? [lower, limit] : [limit, upper];
      contradiction ??= `${low} ≤ ${nameOf(variable)} ≤ ${high}`;
      return false;
    }
    addRow(added);
    return true;
  };

  const finish = (): number => {
    const open = search.unbounded();
    if (open !== undefined) {
      const name = nameOf(open.input);
      fail(
        `expected finite bounds of every input, got no ${open.side} bound of ${name}; add (assert ` +
          `(${open.side === 'lower' ? '>=' : '<='} ${name} …))`,
      );
    }
    const { box, steps } = search.box();
    polytopes.push({
      box,
      unsafe: unsafe.slice(),
      ...(strictInputs.length > 0 && { strictInputs: strictInputs.slice() }),
    });
    constrainsOutputs ||= unsafe.some(({ outputs: c }) => c.some((value) => value !== 0));
    if (polytopes.length > MOST_POLYTOPES || numbers + 2 * inputs * search.boxes > MOST_NUMBERS) tooLarge();
    return steps + unsafe.length;
  };
  const found = (): number => {
    // What is tightened goes again with the case that it is of.
    if (tightenByInequalities(search, unsafe)) return finish();
    contradiction ??= 'inequalities of inputs that exclude each other';
    return unsafe.length;
  };

  const conjunction = {
    assume,
    mark: () => ({ box: search.mark(), rows: unsafe.length, strict: strictInputs.length }),
    restore(mark: { box: number; rows: number; strict: number }) {
      search.restore(mark.box);
      unsafe.length = mark.rows;
      strictInputs.length = mark.strict;
    },
  };
  const complete = forEachDisjunct(constraint, conjunction, found, MOST_STEPS);
  if (!complete) tooLarge();
  // A query without inputs that fulfil it is unsatisfiable; of a property it is a mistake.
  const isQuery = networks !== undefined;
  if (polytopes.length === 0 && !isQuery)
    fail(`expected inputs that fulfil the constraints, got none: ${contradiction}`);
  if (!constrainsOutputs && !isQuery)
    fail('expected a constraint on an output in some assert, got constraints of inputs alone');
  return { inputs, outputs, polytopes };
}

/** Whether division by c only moves the exponent. */
function isPowerOfTwo(c: number): boolean {
  const exponent = Math.round(Math.log2(Math.abs(c)));
  return 2 ** exponent === Math.abs(c);
}

/** b/c, further out than where c·x ≤ b ends for numbers that b and c are nearest to. */
function quotientBeyond(b: number, c: number): number {
  const quotient = b / c;
  if (!Number.isFinite(quotient)) return quotient;
  return quotient + Math.sign(c) * (Math.abs(quotient) * 2 ** -50 + Number.MIN_VALUE);
}

/** Rows of constraints, the same object for equal ones, and how many numbers it took to make them. */
function createRows(
  inputs: number,
  outputs: number,
): (constraint: LinearConstraint) => { inequality: Inequality; created: number } {
  const ofConstraint = new Map<LinearConstraint, Inequality>();
  const ofText = new Map<string, Inequality>();

  const create = ({ variables, coefficients, bound, strict }: LinearConstraint): Inequality => {
    const c = new Float64Array(outputs);
    const d = variables.some((variable) => variable >= 0) ? new Float64Array(inputs) : undefined;
    variables.forEach((variable, k) => {
      if (variable >= 0) (d as Float64Array)[variable] = coefficients[k] as number;
      else c[-1 - variable] = coefficients[k] as number;
    });
    return { outputs: c, ...(d && { inputs: d }), bound, ...(strict && { strict }) };
  };

  return (constraint) => {
    const known = ofConstraint.get(constraint);
    // Stryker disable next-line ConditionalExpression: found by its text it is the same, later
    if (known !== undefined) return { inequality: known, created: 0 };
    const { variables, coefficients, bound, strict } = constraint;
    const text = `${variables} ${coefficients} ${bound} ${strict}`;
    const equal = ofText.get(text);
    const inequality = equal ?? create(constraint);
    ofConstraint.set(constraint, inequality);
    ofText.set(text, inequality);
    return { inequality, created: equal === undefined ? outputs + (inequality.inputs?.length ?? 0) : 0 };
  };
}
