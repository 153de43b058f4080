/**
 * Mistakes that somebody could make in the checker, each of which its tests must notice: terms dropped, signs
 * turned, roundings inwards, branches and digests not looked at.
 */

export interface CheckerMutant {
  readonly name: string;
  /** A file of `checker/`, and the test that notices, where that is not the one beside it. */
  readonly file: 'bounds' | 'check' | 'onnx' | 'vnnlib';
  readonly test?: 'bounds' | 'check' | 'vnnlib';
  /** Text that stands there once, and what stands there instead. */
  readonly from: string;
  readonly to: string;
}

const inBounds: readonly Omit<CheckerMutant, 'file'>[] = [
  {
    name: 'rounding moves inwards',
    test: 'vnnlib',
    from: 'x - Math.abs(x) * 2 ** -50',
    to: 'x + Math.abs(x) * 2 ** -50',
  },
  {
    name: 'bounds of rows keep their rounding',
    from: 'down(value - error * total * (1 + 2 ** -20))',
    to: 'value',
  },
  {
    name: 'intervals keep their rounding',
    from: 'up(s * (1 + 2 * error) + error * Math.abs(node.bias[j]) + TINY)',
    to: 's',
  },
  {
    name: 'terms that cancel in a product are not sized',
    from: 'total += Math.abs(a[j]) * reach[k][j] * (1 + 2 ** -20);',
    to: '',
  },
  { name: 'a bias is taken off', from: 'sum += a[j] * node.bias[j]', to: 'sum -= a[j] * node.bias[j]' },
  {
    name: 'the far end of a value counts',
    from: 'a[i] > 0 ? low[i] : high[i]',
    to: 'a[i] < 0 ? low[i] : high[i]',
  },
  { name: 'inactive ReLUs hand on', from: 'a[i] = low < 0 ? 0 : a[i]', to: 'a[i] = a[i]' },
  { name: 'the kink of a ReLU is forgotten', from: 'l < 0 && h > 0 ? 0 : Number', to: 'false ? 0 : Number' },
  { name: 'the lower end of a line has the other sign', from: 'l < 0 ? -t * l', to: 'l < 0 ? t * l' },
  {
    name: 'the upper end of a line is left out',
    from: 'h > 0 ? (a - t) * h : -t * h',
    to: 'Number.POSITIVE_INFINITY',
  },
  {
    name: 'an active ReLU ends at 0',
    from: 'sign < 0 ? Math.min(high, 0)',
    to: 'sign !== 0 ? Math.min(high, 0)',
  },
  {
    name: 'a bound is taken while other nodes are open',
    from: 'open.findIndex((one) => one) === k',
    to: 'a',
  },
  { name: 'coefficients that meet are not added', from: 'if (more) a[i] += more[i];', to: '' },
  { name: 'one summand is forgotten', from: 'hand(q, a.slice());', to: '' },
  { name: 'the threshold is forgotten', from: '-row.bound, Math', to: '0, Math' },
  { name: 'an upper end is taken for a lower', from: 'end[i] = sign * found', to: 'end[i] = found' },
  { name: 'sums of intervals keep their rounding', from: 'down(v + lower[q][i])', to: 'v + lower[q][i]' },
  { name: 'a last channel of four that is alone is lost', from: ' && a3 === 0) continue', to: ') continue' },
  { name: 'one channel of four has the weights of another', from: 'a2 * w[k2 + k]', to: 'a2 * w[k3 + k]' },
  { name: 'weights beyond the last channel are read', from: 'Math.min(k, w.length - taps)', to: 'k' },
];

const inCheck: readonly Omit<CheckerMutant, 'file'>[] = [
  {
    name: 'the lower half of a box is not proved',
    from: 'prove(nodes, { ...box, upper: box.upper.with(i, middle) }, how, below, open, path);',
    to: '',
  },
  {
    name: 'the inactive branch is not proved',
    from: 'prove(nodes, box, how, branches[1], open, [...path, [k, i, -1]], bounds);',
    to: '',
  },
  { name: 'some leaves are of nobody', from: 'leaf++ % n === k', to: 'leaf++ % (n + 1) === k' },
  { name: 'some polytope suffices', from: 'open.every(({ rows })', to: 'open.some(({ rows })' },
  { name: 'nearly positive is positive', from: 'row, hints) > 0', to: 'row, hints) > -1' },
  { name: 'the seal is not looked at', from: 'demand(seal === (await digest(text)),', to: 'demand(true,' },
  { name: 'digests are not compared', from: 'demand(named === found,', to: 'demand(true,' },
  { name: 'a polytope may lack its proof', from: 'demand(left < 0,', to: 'demand(true,' },
  { name: 'a proof may be about several boxes', from: 'boxes.size === 1', to: 'boxes.size > 0' },
  {
    name: 'the ball is too small',
    from: 'Math.min(v, near[i])) - epsilon',
    to: 'Math.min(v, near[i])) + epsilon / 2',
  },
  {
    name: 'numbers of images are not looked at',
    from: 'Number.isInteger(i) && labels[i] < classes',
    to: 'true',
  },
];

const elsewhere: readonly CheckerMutant[] = [
  {
    file: 'onnx',
    name: 'padding on the left is read',
    from: '[Math.max(0, -x), Math.min',
    to: '[0, Math.min',
  },
  { file: 'onnx', name: 'what is subtracted is added', from: 'by.map((v) => -v)', to: 'by' },
  {
    file: 'onnx',
    name: 'attributes are not looked at',
    from: '!(name in found)',
    to: 'true || !(name in found)',
  },
  {
    file: 'vnnlib',
    name: 'ends are not moved outwards',
    from: 'upper[i] = Math.min(upper[i], up(-constant))',
    to: 'upper[i] = Math.min(upper[i], -constant)',
  },
  { file: 'vnnlib', name: '>= is read as <=', from: "(op[0] === '<' ? 0 : 1)", to: '0' },
  {
    file: 'vnnlib',
    name: 'alternatives are demanded together',
    from: "if (op === 'or') return of.flatMap(disjuncts);",
    to: "if (op === 'or') return of.map(disjuncts).reduce(both, [[]]);",
  },
];

export const checkerMutants: readonly CheckerMutant[] = [
  ...inBounds.map((mutant) => ({ file: 'bounds', ...mutant }) as const),
  ...inCheck.map((mutant) => ({ file: 'check', ...mutant }) as const),
  ...elsewhere,
];
