/**
 * Properties as VNN-LIB text, within the standard's grammar: numbers have no exponent, comparisons two terms.
 * What is read from a text of version 2.0 is printed as a text that is read as the same.
 */
import { type Constraint, type LinearConstraint, type VnnlibProperty, variableName } from './constraint.js';
import { shapeText } from './tensor.js';

/**
 * A property as VNN-LIB, of the version that it was read from.
 *
 * @example
 * ```js
 * import { encodeVnnlib, parseVnnlib } from 'tautnet/formats';
 *
 * const text = `(vnnlib-version <2.0>)
 * (declare-network f (declare-input X real [1]) (declare-output Y real [1]))
 * (assert (>= X[0] 1e-3)) (assert (<= X[0] 1)) (assert (> Y[0] X[0]))`;
 * console.log(encodeVnnlib(parseVnnlib(text)).split('\n').at(-4)); // (assert (>= X[0] 0.001))
 * ```
 */
export function encodeVnnlib(property: VnnlibProperty): string {
  const { constraint } = property;
  const asserted = 'and' in constraint ? constraint.and : [constraint];
  const print = printerOf(property);
  const lines = [...declarationsOf(property), ...asserted.map((one) => `(assert ${print(one)})`)];
  return `${lines.join('\n')}\n`;
}

function declarationsOf({ inputs, outputs, networks }: VnnlibProperty): string[] {
  if (networks === undefined)
    return [...Array(inputs).keys(), ...Array.from({ length: outputs }, (_, j) => -1 - j)].map(
      (variable) => `(declare-const ${variableName(variable)} Real)`,
    );
  const declared = networks.map(({ name, equivalence, tensors }) => {
    const lines = tensors.map((tensor) => {
      const onnxName = tensor.onnxName === undefined ? '' : ` "${tensor.onnxName}"`;
      return `(declare-${tensor.kind} ${tensor.name} ${tensor.type} ${shapeText(tensor)}${onnxName})`;
    });
    const relation = equivalence ? [`(${equivalence.kind} ${equivalence.network})`] : [];
    return `(declare-network ${name}\n  ${[...relation, ...lines].join('\n  ')})`;
  });
  return ['(vnnlib-version <2.0>)', ...declared];
}

/** A float64 as the shortest decimal without exponent that is read as it. */
export function decimalText(value: number): string {
  const [, sign = '', whole = '', part = '', power] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(`${value}`) ?? [];
  if (power === undefined) return `${value}`;
  const digits = `${whole}${part}`;
  const point = whole.length + Number(power);
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  const rest = digits.length > point ? `.${digits.slice(point)}` : '';
  return `${sign}${digits.slice(0, point).padEnd(point, '0')}${rest}`;
}

/** Whether b is the other half of a = in front of it, or of a ≠. */
function isOpposite(a: Constraint | undefined, b: Constraint | undefined): a is LinearConstraint {
  if (a === undefined || b === undefined || !('variables' in a) || !('variables' in b)) return false;
  return (
    a.strict === b.strict &&
    a.bound === -b.bound &&
    a.variables.length > 0 &&
    a.variables.length === b.variables.length &&
    a.variables.every((v, k) => v === b.variables[k] && a.coefficients[k] === -(b.coefficients[k] as number))
  );
}

function printerOf({ networks, inputs }: VnnlibProperty): (constraint: Constraint) => string {
  const nameOf = (variable: number): string => variableName(variable, networks);
  const term = ({ variables, coefficients }: LinearConstraint): string => {
    // A comparison of version 2.0 has the type of its variables, so it needs one.
    if (variables.length === 0) return networks === undefined ? '0' : `(* 0 ${nameOf(inputs > 0 ? 0 : -1)})`;
    const parts = variables.map((variable, k) => {
      const coefficient = coefficients[k] as number;
      return coefficient === 1 ? nameOf(variable) : `(* ${decimalText(coefficient)} ${nameOf(variable)})`;
    });
    return parts.length === 1 ? (parts[0] as string) : `(+ ${parts.join(' ')})`;
  };
  const comparison = (constraint: LinearConstraint): string => {
    const { variables, coefficients, bound, strict } = constraint;
    const equal = strict ? '' : '=';
    if (variables.length === 1 && coefficients[0] === -1)
      return `(>${equal} ${nameOf(variables[0] as number)} ${decimalText(-bound + 0)})`;
    return `(<${equal} ${term(constraint)} ${decimalText(bound)})`;
  };
  const print = (constraint: Constraint): string => {
    if ('variables' in constraint) return comparison(constraint);
    const [operator, parts] = 'and' in constraint ? ['and', constraint.and] : ['or', constraint.or];
    const [first, second] = parts as readonly Constraint[];
    if (parts.length === 2 && isOpposite(first, second) && (operator === 'or') === (first.strict === true)) {
      if (operator === 'and')
        return `(${networks === undefined ? '=' : '=='} ${term(first)} ${decimalText(first.bound)})`;
      if (networks !== undefined) return `(!= ${term(first)} ${decimalText(first.bound)})`;
    }
    return `(${operator} ${parts.map(print).join(' ')})`;
  };
  return print;
}
