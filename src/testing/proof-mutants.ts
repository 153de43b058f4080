/**
 * Mistakes that somebody could make in what decides whether a bound is a proof, each of which tests must
 * notice: constants that are too small, terms dropped, ends moved inwards. Stryker, which changes operators
 * and conditions, tries none of them.
 */

export interface ProofMutant {
  readonly name: string;
  /** A file of `src/`, without its ending. */
  readonly file: string;
  /** Another test than the one beside the file. */
  readonly test?: string;
  /** Text that stands there once, and what stands there instead. */
  readonly from: string;
  readonly to: string;
}

const of = (file: string, mutants: readonly Omit<ProofMutant, 'file'>[]): ProofMutant[] =>
  mutants.map((mutant) => ({ file, ...mutant }));

export const proofMutants: readonly ProofMutant[] = [
  ...of('verification/proof/rounding', [
    { name: 'a threshold is a few units in the last place', from: 'RELATIVE = 1e-5', to: 'RELATIVE = 2e-7' },
    { name: 'the ball is not enlarged', from: 'BALL_SLACK = 2 ** -21', to: 'BALL_SLACK = 0' },
    { name: 'activations do not count as terms', from: 'HIDDEN_SHARE = 0.1', to: 'HIDDEN_SHARE = 0' },
    {
      name: 'one deviation of the running error is enough',
      test: 'verification/branch-and-bound/allowance',
      from: 'RUNNING = 4',
      to: 'RUNNING = 1',
    },
  ]),
  ...of('verification/proof/running-error', [
    {
      name: 'sizes are those of lower ends',
      from: 'size: maximum(abs(lower), abs(upper))',
      to: 'size: abs(lower)',
    },
    { name: 'weights are not squared', from: 'weight: mul(weight, weight)', to: 'weight' },
    { name: 'biases have no size', from: 'add(linear, abs(bias))', to: 'linear' },
    {
      name: 'what is joined adds no error',
      from: 'stateOf(addAll(from.map(({ moved }) => moved)), addAll(from.map(({ size }) => size)))',
      to: 'stateOf(addAll(from.map(({ moved }) => moved)))',
    },
    {
      name: 'ReLUs are on where they are at the centre',
      from: 'greater(reach, 0)',
      to: 'greater(values[from] as Tensor, 0)',
    },
    { name: 'errors of earlier layers are forgotten', from: 'addAll([...carried, own])', to: 'own' },
  ]),
  ...of('verification/branch-and-bound/allowance', [
    { name: 'subtraction rounds nothing', from: 'SUBTRACTION = 2 ** -50', to: 'SUBTRACTION = 0' },
    { name: 'nothing underflows', from: 'UNDERFLOW = 2 ** -1000', to: 'UNDERFLOW = 0' },
    { name: 'ends of decimals stay', from: 'Math.abs(end) * 2 ** -52', to: '0' },
  ]),
  ...of(
    'network/onnx/exact-forms',
    [
      {
        name: 'an opposite neuron is its twin',
        from: 'return { terms: new Map(terms).set(twin.atom, unit), constant };',
        to: 'return { terms: new Map([[twin.atom, unit]]), constant: 0n };',
      },
      {
        name: 'a constant below 0 passes a ReLU',
        from: 'constant: constant > 0n ? constant : 0n',
        to: 'constant',
      },
      {
        name: 'neurons of other biases are twins',
        from: ', sign * constant].join(',
        to: '].join(',
      },
    ].map((mutant) => ({ ...mutant, test: 'network/onnx/distinct' })),
  ),
  ...of('network/onnx/merged', [
    {
      name: 'rounded weights are those of the file',
      test: 'network/onnx/distinct',
      from: 'foldings === 0 ? exactRows(sparseRows(weight, length)) : undefined',
      to: 'exactRows(sparseRows(weight, length))',
    },
  ]),
  ...of('network/onnx/distinct', [
    {
      name: 'layers that cancel are joined',
      from: 'cancels(outer, from.terms, to.terms)',
      to: 'false',
    },
  ]),
  ...of('verification/branch-and-bound/rounding-error', [
    { name: 'the unit is a hundredth', from: 'float64: 2 ** -52', to: 'float64: 2 ** -52 / 100' },
    { name: 'the unit of float32 is a hundredth', from: 'float32: 2 ** -23', to: 'float32: 2 ** -23 / 100' },
    { name: 'each rounding is counted once', from: 'float64: 2 ** -52 }', to: 'float64: 2 ** -53 }' },
    { name: 'weights have signs', from: 'layer.linear(layer.absolute(weights)', to: 'layer.linear(weights' },
    { name: 'biases have signs', from: 'add(linear, abs(bias))', to: 'add(linear, bias)' },
    { name: 'smooth lines are as large as what they read', from: 'SMOOTH = 2', to: 'SMOOTH = 0' },
    { name: 'only the last node counts', from: 'add(sumOf, error)', to: 'error' },
    { name: 'nothing underflows', from: 'UNDERFLOW[a.dtype as FloatType]', to: '0' },
    { name: 'lower ends stay', from: 'lower: sub(bounds.lower, error)', to: 'lower: bounds.lower' },
    { name: 'upper ends stay', from: 'upper: add(bounds.upper, error)', to: 'upper: bounds.upper' },
  ]),
  ...of('verification/branch-and-bound/sound-crown', [
    {
      name: 'bounds keep their rounding',
      from: 'sub(concretize({ ...found, coefficients }, box), reshape(error.total(), [count, batch]))',
      to: 'concretize({ ...found, coefficients }, box)',
    },
    {
      name: 'bounds at activations keep their rounding',
      from: 'sub(addAll(sums), reshape(total, [count, batch]))',
      to: 'addAll(sums)',
    },
    {
      name: 'bounds at the input keep their rounding',
      from: 'sub(concretize(bound, box), reshape(error.total(), [count, batch]))',
      to: 'concretize(bound, box)',
    },
    {
      name: 'rows over inputs are forgotten',
      from: 'add(found.coefficients, onInputs)',
      to: 'found.coefficients',
    },
  ]),
  ...of('verification/branch-and-bound/leaf', [
    { name: 'the solver is exact', from: 'SLACK = 1e-6', to: 'SLACK = 0' },
    { name: 'inequalities are scaled down', from: 'bound: found.bound * scale', to: 'bound: found.bound' },
  ]),
  ...of('verification/branch-and-bound/hull', [
    {
      name: 'shares come to more than 1',
      from: 'minimum(maximum(balanced, 0), sub(1, theta))',
      to: 'maximum(balanced, 0)',
    },
    {
      name: 'z is never active',
      from: 'mul(width, relu(sub(balanced, share)))',
      to: 'mul(width, mul(relu(sub(balanced, share)), 0))',
    },
    { name: 's of float32 is not moved', from: 'sub(perRow(low), error)', to: 'perRow(low)' },
    { name: 'r of float32 is not moved', from: 'add(perRow(high), error)', to: 'perRow(high)' },
  ]),
  ...of('verification/branch-and-bound/hull-taps', [
    {
      name: 's of the kernel is l',
      test: 'verification/branch-and-bound/dual-kernel',
      from: 'sides.width, sides.least]',
      to: 'sides.width, sides.lower]',
    },
    {
      name: 'taps of the kernel are of the pixel beside',
      test: 'verification/branch-and-bound/dual-kernel',
      from: 'inputsAt(pixel).forEach((from, tap) => {\n      if (from < 0) return;\n      const value',
      to: 'inputsAt((pixel + 1) % area).forEach((from, tap) => {\n      if (from < 0) return;\n      const value',
    },
    {
      name: 'sides that were chosen are read a tap beside',
      test: 'verification/branch-and-bound/dual-kernel',
      from: '= place * taps + tap;',
      to: '= place * taps + ((tap + 1) % taps);',
    },
  ]),
  ...of('verification/branch-and-bound/front', [
    { name: 'a box behind a front is not drawn outwards', from: 'ROUNDING = 2 ** -50', to: 'ROUNDING = 0' },
    {
      name: 'factors behind a front are positive',
      from: 'Math.min(value, other[i] as number)',
      to: 'value',
    },
  ]),
  ...of('verification/branch-and-bound/search', [
    {
      name: 'thresholds behind a front are of what is behind it',
      test: 'verification/branch-and-bound/front',
      from: 'rounding: (box) => roundingOver(engine, before.get(box) as Box)',
      to: 'rounding: (box) => roundingOver(behind.engine, box)',
    },
  ]),
  ...of('verification/branch-and-bound/hull-choice', [
    {
      name: 's is the greatest value',
      test: 'verification/branch-and-bound/hull',
      from: 'side * (side > 0 ? l : u)',
      to: 'side * (side > 0 ? u : l)',
    },
    {
      name: 'r is the least value',
      test: 'verification/branch-and-bound/hull',
      from: 'rest * (rest > 0 ? u : l)',
      to: 'rest * (rest > 0 ? l : u)',
    },
  ]),
  ...of('verification/branch-and-bound/envelope', [
    { name: 'upper lines need not reach u', from: 'Math.max(0, missing)', to: '0' },
    {
      name: 'upper lines start at the greatest value',
      from: 'Math.min(...ends(i, tap))',
      to: 'Math.max(...ends(i, tap))',
    },
    { name: 'ReLUs of open sign are linear', from: 'const open = l < 0', to: 'const open = l < -u' },
    { name: 'shares have no end', from: 'Math.min(Math.max(share, 0), 1)', to: 'Math.max(share, 0)' },
  ]),
  ...of('verification/branch-and-bound/envelope-bounds', [
    { name: 'a row is bounded by another', from: 'open[at] as number', to: 'open[0] as number' },
  ]),
  ...of('verification/branch-and-bound/hull-bounds', [
    {
      name: 'a neuron is bounded by its neighbour in the group',
      from: 'group[Math.min(j >> 1, group.length - 1)]',
      to: 'group[Math.min(j >> 2, group.length - 1)]',
    },
    {
      name: 'open neurons are active',
      from: 'Math.max(ends.lower[neuron]',
      to: 'Math.max(0, ends.lower[neuron]',
    },
    {
      name: 'upper bounds are those of the wrong column',
      from: 'filter((_, j) => j % 2 === 1)',
      to: 'filter((_, j) => j % 2 === 0)',
    },
  ]),
  ...of('verification/branch-and-bound/relu-search', [
    {
      name: 'a counterexample is told of another goal',
      from: 'options.found(point, numbered(goal))',
      to: 'options.found(point, goal)',
    },
  ]),
  ...of('verification/branch-and-bound/relu-splitting', [
    {
      name: 'parts for which sides are chosen are forgotten',
      test: 'verification/branch-and-bound/relu-search',
      from: 'this.#frontier.push(worst.map((part, j) => raisedBy(part, hulls, j)))',
      to: 'this.#frontier.push([])',
    },
    {
      name: 'goals with undecided leaves count as proved',
      from: ' || this.#leafGoals.has(goal)',
      to: '',
    },
  ]),
  ...of('verification/branch-and-bound/input-splitting', [
    {
      name: 'bounds above the value at the centre count',
      from: 'best > 0 && best <= value + proofThreshold(Math.abs(value)) && Number.isFinite(best)',
      to: 'best > 0',
    },
    {
      name: 'rounding is not allowed for',
      test: 'verification/branch-and-bound/rounded-away',
      from: 'allowance(engine, sizeOfTerms(inequality, centre, atCentre), inequality, rounding)',
      to: '0',
    },
    {
      name: 'what was not come to is proved',
      test: 'verification/branch-and-bound/early-end',
      from: 'this.#frontier.length > 0 || this.#begun < this.#groups.length',
      to: 'false',
    },
    { name: 'both halves are the lower one', from: 'lower: above, upper', to: 'lower, upper: below' },
  ]),
  ...of('relaxation/interval', [
    {
      name: 'many classes are bounded from above',
      from: 'return sub(value, radius)',
      to: 'return add(value, radius)',
    },
    {
      name: 'few classes are bounded at the centre',
      from: 'sub(gemm(pairMatrix, centre), gemm(differences, twiceRadius))',
      to: 'gemm(pairMatrix, centre)',
    },
  ]),
  ...of('relaxation/linear/back-substitution', [
    {
      name: 'of several branches to one node the first counts, at activations',
      from: '[to, addAll(some)] as const',
      to: '[to, some[0] as Tensor] as const',
    },
    {
      name: 'of what rows are at an activation the first part counts',
      from: 'found.push(addAll(parts))',
      to: 'found.push(parts[0] as Tensor)',
    },
    {
      name: 'lines above have no intercept',
      from: 'const above = mul(negative, wide(intercept))',
      to: 'const above = mul(negative, 0)',
    },
    {
      name: 'branches are not added up',
      from: 'const a = addAll(parts)',
      to: 'const a = parts[0] as Tensor',
    },
    {
      name: 'a box is its centre',
      from: 'sub(mul(cube, wide(add(lower, upper))), mul(abs(cube), wide(sub(upper, lower))))',
      to: 'mul(cube, wide(add(lower, upper)))',
    },
  ]),
  ...of('relaxation/solver/relu-program', [
    {
      name: 'what a ReLU gives ends before its bound',
      test: 'relaxation/solver/relu-solver',
      from: 'made.variable(0, u)',
      to: 'made.variable(0, u / 2)',
    },
    {
      name: 'the upper side of a triangle begins at zero',
      test: 'relaxation/solver/relu-solver',
      from: 'slope * (e.constant - l)',
      to: 'slope * e.constant',
    },
  ]),
  ...of('relaxation/solver/sign-branching', [
    {
      name: 'one sign of a ReLU is enough',
      test: 'relaxation/solver/relu-solver',
      from: 'nodes.push([...signs, [relu, !isOn]], [...signs, [relu, isOn]])',
      to: 'nodes.push([...signs, [relu, isOn]])',
    },
    {
      name: 'a sign stays where the search has gone on',
      test: 'relaxation/solver/relu-solver',
      from: 'for (const [relu, isOn] of from.slice(kept)) free(open, relu, isOn);',
      to: '',
    },
  ]),
  ...of('verification/search/root-bounds', [
    {
      name: 'an infinite bound is a proof',
      test: 'verification/search/root-calls',
      from: 'Number.isFinite(margin) &&',
      to: '',
    },
    {
      name: 'boxes are rounded to nearest',
      test: 'verification/search/root-calls',
      from: 'const ends = endsOf({ dtype }, box)',
      to: 'const ends = box',
    },
    {
      name: 'terms over the inputs are forgotten',
      test: 'verification/search/sound-root-bounds',
      from: 'inequality.inputs === undefined &&',
      to: '',
    },
  ]),
  ...of('relaxation/slopes', [
    {
      name: 'the line above is half as high',
      from: 'mul(slope, negative)',
      to: 'mul(mul(slope, negative), 0.5)',
    },
    {
      name: 'the line below is the line above',
      from: 'where(greater(add(upper, lower), 0), one, zero)',
      to: 'slope',
    },
  ]),
  ...of('verification/property/implied-bounds', [
    { name: 'what is implied rounds nothing', from: 'ROUNDING = 2 ** -52', to: 'ROUNDING = 0' },
    { name: 'products never underflow', from: ' + terms * Number.MIN_VALUE', to: '' },
    { name: 'what is implied never underflows', from: 'SMALLEST = 2 ** -900', to: 'SMALLEST = 0' },
    {
      name: 'the least is the greatest',
      from: 'end = d > 0 ? lower : upper',
      to: 'end = d > 0 ? upper : lower',
    },
    {
      name: 'inputs that the inequality leaves out are bounded',
      from: 'd === 0 || Number.isFinite(d > 0 ? upper : lower)',
      to: 'Number.isFinite(d > 0 ? upper : lower)',
    },
  ]),
  ...of('verification/property/box-search', [
    {
      name: 'boxes of one hash are one box',
      from: 'changes.every((i) => box.lower[i] === lower[i] && box.upper[i] === upper[i])',
      to: 'true',
    },
    { name: 'lower ends are not compared', from: 'box.lower[i] === lower[i] && ', to: '' },
  ]),
  ...of('verification/property/links', [
    {
      name: 'sums of coefficients are rounded',
      from: 'before - (sum - part) + (added - part) !== 0',
      to: 'false',
    },
  ]),
  ...of('verification/property/robustness', [
    { name: 'a ball has no lower half', from: 'end(v - epsilon)', to: 'end(v)' },
    {
      name: 'the last class never overtakes',
      from: '{ length: classes }, (_, j) => j)',
      to: '{ length: classes - 1 }, (_, j) => j)',
    },
  ]),
  ...of('verification/property/from-vnnlib', [
    {
      name: 'quotients are exact',
      from: 'quotient + Math.sign(c) * (Math.abs(quotient) * 2 ** -50 + Number.MIN_VALUE)',
      to: 'quotient',
    },
    {
      name: 'a quotient of a third is exact',
      from: 'const exact = isPowerOfTwo(coefficient)',
      to: 'const exact = true',
    },
  ]),
];
