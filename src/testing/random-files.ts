/**
 * Random ONNX files of all layer families, as recipes that shrink: an input's normalisation, then layers with
 * constants of all sizes to be folded. With each a box around the data that the normalisation belongs to.
 */
import fc from 'fast-check';
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from '../formats/onnx.js';
import { normalNumbers } from './numbers.js';
import { model, op } from './onnx-models.js';

/** Layers on vectors, and what they need to know. */
const BLOCKS = [
  'gemm',
  'matmul',
  'residual',
  'twins',
  'relu',
  'leaky',
  'prelu',
  'clip',
  'max',
  'min',
  'abs',
  'mul',
  'div',
  'sub',
  'from',
  'add',
  'norm',
  'detour',
  'vanish',
  'sigmoid',
  'tanh',
] as const;

export interface Block {
  readonly kind: (typeof BLOCKS)[number];
  readonly width: number;
  /** Power of ten of the constants that are not weights. */
  readonly exponent: number;
  readonly turned: boolean;
}

export interface FileRecipe {
  readonly seed: number;
  readonly double: boolean;
  /** [features], or [channels, height, width] before convolutions. */
  readonly input: readonly number[];
  readonly convolutions: readonly {
    readonly channels: number;
    readonly pad: number;
    readonly stride: number;
    readonly after: 'relu' | 'leaky' | 'norm' | 'clip' | 'tanh';
  }[];
  readonly normalization: 'none' | 'sub-div' | 'mul-add' | 'norm';
  /** Offset of the data in its deviations, a power of ten. */
  readonly offset: number;
  /** The box's radius in deviations, a power of ten. */
  readonly radius: number;
  readonly blocks: readonly Block[];
  readonly outputs: number;
}

const between = (min: number, max: number) => fc.integer({ min, max });

const block: fc.Arbitrary<Block> = fc.record({
  kind: fc.constantFrom(...BLOCKS),
  width: between(1, 6),
  exponent: between(-3, 4),
  turned: fc.boolean(),
});

/** Recipes of all families. */
export const fileRecipes: fc.Arbitrary<FileRecipe> = fc
  .record({
    seed: between(0, 2 ** 30),
    double: fc.integer({ min: 0, max: 4 }).map((n) => n === 4),
    input: fc.oneof(
      { weight: 3, arbitrary: between(1, 4).map((n) => [n]) },
      { weight: 1, arbitrary: fc.tuple(between(1, 2), between(2, 3), between(2, 3)) },
    ),
    convolutions: fc.array(
      fc.record({
        channels: between(1, 2),
        pad: between(0, 1),
        stride: between(1, 2),
        after: fc.constantFrom('relu', 'leaky', 'norm', 'clip', 'tanh'),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    normalization: fc.constantFrom('none', 'sub-div', 'mul-add', 'norm'),
    offset: between(0, 4),
    radius: between(-3, 0),
    blocks: fc.array(block, { minLength: 1, maxLength: 6 }),
    outputs: between(1, 2),
  })
  // ONNX Runtime has no convolutions in float64.
  .map((recipe) => ({ ...recipe, double: recipe.double && recipe.input.length === 1 }));

export interface BuiltFile {
  readonly model: OnnxModel;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** Grows a file node by node; numbers are functions of the recipe's seed. */
class FileBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxTensor[] = [];
  #draws = 0;

  constructor(readonly recipe: FileRecipe) {}

  normals(size: number): Float64Array {
    return normalNumbers(`file ${this.recipe.seed} ${this.#draws++}`, size);
  }

  /** A constant of the file's type: of these numbers, in double files with digits that float32 does not hold. */
  constant(shape: readonly number[], values: ArrayLike<number>): string {
    const name = `c${this.constants.length}`;
    const fine = this.recipe.double ? this.normals(values.length) : undefined;
    const data = fine
      ? Float64Array.from(values, (v, i) => v * (1 + 1e-8 * (fine[i] as number)))
      : Float32Array.from(values);
    this.constants.push({ name, shape, data });
    return name;
  }

  /** The same without further digits. */
  exactly(shape: readonly number[], values: Float64Array): string {
    const name = `c${this.constants.length}`;
    const data = this.recipe.double ? values : Float32Array.from(values);
    this.constants.push({ name, shape, data });
    return name;
  }

  drawn(shape: readonly number[], scale: number): string {
    return this.constant(
      shape,
      this.normals(shape.reduce((a, b) => a * b, 1)).map((z) => scale * z),
    );
  }

  /** Numbers of N(±scale, scale/10): they keep away from zero. */
  away(shape: readonly number[], scale: number): string {
    const z = this.normals(shape.reduce((a, b) => a * b, 1));
    return this.constant(
      shape,
      z.map((v) => Math.sign(v) * scale * (1 + 0.1 * v)),
    );
  }

  apply(opType: string, inputs: readonly string[], attributes: Record<string, OnnxAttribute> = {}): string {
    const output = `v${this.nodes.length}`;
    this.nodes.push(op(opType, inputs, output, attributes));
    return output;
  }

  /** Statistics far from zero, where asked for. */
  norm(from: string, channels: number, offset: number): string {
    const variance = this.normals(channels).map((z) => 0.2 + z * z);
    return this.apply(
      'BatchNormalization',
      [
        from,
        this.away([channels], 1),
        this.drawn([channels], 0.5),
        this.drawn([channels], offset),
        this.constant([channels], variance),
      ],
      { epsilon: { float: 1e-3 } },
    );
  }
}

/** The activation after a block, of `width` values. */
function applyBlock(file: FileBuilder, from: string, width: number, of: Block): [string, number] {
  const size = 10 ** of.exponent;
  const unary = (opType: string): [string, number] => [file.apply(opType, [from]), width];
  const withConstant = (opType: string, name: string): [string, number] => [
    file.apply(opType, opType === 'Sub' && of.kind === 'from' ? [name, from] : [from, name]),
    width,
  ];
  const shape = of.turned ? [width] : [1, width];
  switch (of.kind) {
    case 'gemm':
      return [gemm(file, from, width, of.width, of), of.width];
    case 'matmul':
      return [
        file.apply('Add', [
          file.apply('MatMul', [from, file.drawn([width, of.width], 1 / Math.sqrt(width))]),
          file.drawn([of.width], 0.3),
        ]),
        of.width,
      ];
    case 'residual': {
      const inner = file.apply('Relu', [gemm(file, from, width, of.width, of)]);
      return [file.apply('Add', [gemm(file, inner, of.width, width, { ...of, exponent: 0 }), from]), width];
    }
    case 'twins': {
      const inner = file.apply('Relu', [twins(file, from, width, of.width)]);
      return [gemm(file, inner, 3 * of.width, of.width, { ...of, exponent: 0 }), of.width];
    }
    case 'leaky':
      return [file.apply('LeakyRelu', [from], { alpha: { float: 0.1 * (1 + (of.width % 3)) } }), width];
    case 'prelu':
      return withConstant('PRelu', file.drawn(shape, 0.3));
    case 'clip': {
      const [low, high] = [file.constant([], [-size]), file.constant([], [size * (1 + 0.1 * of.width)])];
      return [file.apply('Clip', [from, low, high]), width];
    }
    case 'detour': {
      const far = file.away(shape, 100 * size);
      return [file.apply('Sub', [file.apply('Relu', [file.apply('Add', [from, far])]), far]), width];
    }
    case 'vanish': {
      const power = 10 ** (8 * Math.abs(of.exponent));
      const small = file.apply('Relu', [file.apply('Mul', [from, file.constant([], [1 / power])])]);
      return [file.apply('Mul', [small, file.constant([], [power])]), width];
    }
    case 'norm':
      return [file.norm(from, width, size), width];
    case 'max':
    case 'min':
      return withConstant(of.kind === 'max' ? 'Max' : 'Min', file.drawn(shape, size));
    case 'mul':
    case 'div':
      return withConstant(of.kind === 'mul' ? 'Mul' : 'Div', file.away(shape, size));
    case 'sub':
    case 'from':
      return withConstant('Sub', file.drawn(shape, size));
    case 'add':
      return withConstant('Add', file.drawn(shape, size));
    case 'relu':
      return unary('Relu');
    case 'abs':
      return unary('Abs');
    case 'sigmoid':
      return unary('Sigmoid');
    case 'tanh':
      return unary('Tanh');
  }
}

/** Each of some affine functions, its opposite, and itself again. */
function twins(file: FileBuilder, from: string, inputs: number, count: number): string {
  const [weights, biases] = [file.normals(inputs * count), file.normals(count)];
  const thrice = (values: Float64Array) =>
    Float64Array.from({ length: 3 * values.length }, (_, i) => {
      const value = values[Math.floor(i / 3)] as number;
      return i % 3 === 1 ? -value : value;
    });
  const w = file.exactly([inputs, 3 * count], thrice(weights));
  return file.apply('Gemm', [from, w, file.exactly([3 * count], thrice(biases))]);
}

/** Gemm with α and β that are powers of ten times 0.7 and 3. */
function gemm(
  file: FileBuilder,
  from: string,
  inputs: number,
  outputs: number,
  { turned, exponent }: Pick<Block, 'turned' | 'exponent'>,
): string {
  const shape = turned ? [outputs, inputs] : [inputs, outputs];
  return file.apply('Gemm', [from, file.drawn(shape, 1 / Math.sqrt(inputs)), file.drawn([outputs], 0.3)], {
    transB: { int: turned ? 1 : 0 },
    ...(exponent % 2 !== 0 && { alpha: { float: 0.7 * 10 ** exponent }, beta: { float: 3 } }),
  });
}

/** Convolutions and what follows them, flattened. */
function convolve(file: FileBuilder, from: string): [string, number] {
  const { input, convolutions } = file.recipe;
  let [at, [channels, height, width]] = [from, input as [number, number, number]];
  for (const { channels: outputs, pad, stride, after } of convolutions) {
    const kernel = [Math.min(2, height + 2 * pad), Math.min(2, width + 2 * pad)] as const;
    at = file.apply(
      'Conv',
      [at, file.drawn([outputs, channels, ...kernel], 0.5), file.drawn([outputs], 0.2)],
      {
        pads: { ints: [pad, pad, pad, pad] },
        strides: { ints: [stride, stride] },
        kernel_shape: { ints: kernel },
      },
    );
    const extent = (size: number, taps: number) => Math.floor((size + 2 * pad - taps) / stride) + 1;
    [channels, height, width] = [outputs, extent(height, kernel[0]), extent(width, kernel[1])];
    if (after === 'norm') at = file.norm(at, channels, 10);
    else if (after === 'leaky') at = file.apply('LeakyRelu', [at], { alpha: { float: 0.01 } });
    else if (after === 'clip') at = file.apply('Clip', [at, file.constant([], [0]), file.constant([], [6])]);
    else at = file.apply(after === 'relu' ? 'Relu' : 'Tanh', [at]);
  }
  return [file.apply('Flatten', [at]), channels * height * width];
}

/** The file and the box of a recipe. */
export function buildFile(recipe: FileRecipe): BuiltFile {
  const file = new FileBuilder(recipe);
  const { input, normalization, offset, radius, double, outputs, blocks } = recipe;
  const [channels = 1, ...extents] = input;
  const size = input.reduce((a, b) => a * b, 1);
  const shape = [channels, ...extents.map(() => 1)];
  const deviation = file.normals(channels).map((z) => 0.1 + Math.abs(z));
  const mean = file.normals(channels).map((z, c) => z * 10 ** offset * (deviation[c] as number));
  const plain = normalization === 'none';
  let at = 'x';
  if (normalization === 'sub-div')
    at = file.apply('Div', [
      file.apply('Sub', [at, file.constant(shape, mean)]),
      file.constant(shape, deviation),
    ]);
  if (normalization === 'mul-add') {
    const scale = deviation.map((d) => 1 / d);
    const shift = mean.map((m, c) => -m / (deviation[c] as number));
    at = file.apply('Add', [
      file.apply('Mul', [at, file.constant(shape, scale)]),
      file.constant(shape, shift),
    ]);
  }
  if (normalization === 'norm')
    at = file.apply(
      'BatchNormalization',
      [
        at,
        file.away([channels], 1),
        file.drawn([channels], 0.3),
        file.constant([channels], mean),
        file.constant(
          [channels],
          deviation.map((d) => d * d),
        ),
      ],
      { epsilon: { float: 1e-5 } },
    );
  let width = size;
  if (input.length > 1) [at, width] = convolve(file, at);
  for (const one of blocks) [at, width] = applyBlock(file, at, width, one);
  at = gemm(file, at, width, outputs, { turned: false, exponent: 0 });
  const built = model({ input: ['batch', ...input], nodes: file.nodes, constants: file.constants, double });
  const places = file.normals(size);
  const side = (direction: 1 | -1) =>
    Float64Array.from(places, (z, i) => {
      const c = Math.floor(i / (size / channels));
      const d = plain ? 1 : (deviation[c] as number);
      return Math.fround((plain ? 0 : (mean[c] as number)) + d * (0.5 * z + direction * 10 ** radius));
    });
  return {
    model: { ...built, outputs: [{ ...built.outputs[0], name: at, type: double ? 'DOUBLE' : 'FLOAT' }] },
    lower: side(-1),
    upper: side(1),
  };
}
