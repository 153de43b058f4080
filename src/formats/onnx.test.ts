import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import onnxProto from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { integers, model, op, random } from '../testing/onnx-models.js';
import { FormatError } from './format-error.js';
import { decodeOnnx, encodeOnnx, type OnnxAttribute, type OnnxModel, type OnnxTensor } from './onnx.js';
import { ATTRIBUTE, GRAPH, MODEL, NODE } from './onnx-schema.js';

const { onnx } = onnxProto;

const small = model({
  input: ['N', 7],
  nodes: [
    op('Gemm', ['x', 'w'], 'h', { alpha: { float: 0.5 } }),
    op('Add', ['h', 'b'], 'a'),
    op('Relu', ['a'], 'y'),
  ],
  constants: [random('w', [7, 4]), random('b', [4])],
});

/** A message with one field after another. */
function message(...fields: readonly (readonly [field: number, bytes: Uint8Array])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [field, bytes] of fields) writer.tag(field, WireType.LengthDelimited).bytes(bytes);
  return writer.finish();
}
/** The bytes repeated, without a copy of each in memory. */
function repeated(bytes: Uint8Array, count: number): Uint8Array {
  const out = new Uint8Array(bytes.length * count);
  for (let i = 0; i < count; i++) out.set(bytes, i * bytes.length);
  return out;
}
const inGraph = (graph: Uint8Array): Uint8Array => message([MODEL.graph, graph]);

/** The error of reading, which has to be one line. */
function refusal(bytes: Uint8Array): string {
  try {
    decodeOnnx(bytes, 'file.onnx');
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(/^file\.onnx: [^\n]+$/);
    return (error as Error).message;
  }
  throw new Error('expected a refusal');
}

const word = fc.string({ maxLength: 6 });
const data: fc.Arbitrary<Omit<OnnxTensor, 'name'>> = fc.oneof(
  fc
    .array(fc.float({ noNaN: true }), { maxLength: 4 })
    .map((v) => ({ shape: [v.length], data: Float32Array.from(v) })),
  fc
    .array(fc.double({ noNaN: true }), { maxLength: 4 })
    .map((v) => ({ shape: [1, v.length], data: Float64Array.from(v) })),
  fc.array(fc.integer(), { maxLength: 4 }).map((v) => ({ shape: [v.length, 1], data: Int32Array.from(v) })),
  fc
    .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    .map((v) => ({ shape: [], data: BigInt64Array.of(v) })),
  fc
    .array(fc.boolean(), { maxLength: 4 })
    .map((v) => ({ shape: [v.length], data: Uint8Array.from(v, Number) })),
);
const attribute: fc.Arbitrary<OnnxAttribute> = fc.oneof(
  fc.record({ int: fc.maxSafeInteger() }),
  fc.record({ float: fc.float({ noNaN: true }) }),
  fc.record({ string: word }),
  fc.record({ ints: fc.array(fc.maxSafeInteger(), { maxLength: 4 }) }),
  fc.record({ floats: fc.array(fc.float({ noNaN: true }), { maxLength: 4 }) }),
  fc.tuple(word, data).map(([name, rest]) => ({ tensor: { name, ...rest } })),
);
const value = fc.record({
  name: word,
  type: fc.constantFrom('FLOAT', 'DOUBLE', 'INT64', 'BOOL'),
  shape: fc.array(fc.oneof(fc.nat(), fc.string({ minLength: 1, maxLength: 3 })), { maxLength: 3 }),
});
const models: fc.Arbitrary<OnnxModel> = fc.record({
  irVersion: fc.integer({ min: 1, max: 10 }),
  opset: fc.integer({ min: 1, max: 25 }),
  producer: word,
  description: word,
  metadata: fc.dictionary(word, word, { maxKeys: 3, noNullPrototype: true }),
  name: word,
  inputs: fc.array(value, { maxLength: 2 }),
  outputs: fc.array(value, { maxLength: 2 }),
  nodes: fc.array(
    fc.record({
      opType: word,
      domain: word,
      name: word,
      inputs: fc.array(word, { maxLength: 3 }),
      outputs: fc.array(word, { maxLength: 2 }),
      attributes: fc.dictionary(word, attribute, { maxKeys: 3, noNullPrototype: true }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  initializers: fc.uniqueArray(
    fc.tuple(word, data).map(([name, rest]) => ({ name, ...rest })),
    { maxLength: 3, selector: ({ name }) => name },
  ),
});

describe('models', () => {
  it('of any content come back as they were written', () => {
    fc.assert(
      fc.property(models, (given) => {
        expect(decodeOnnx(encodeOnnx(given))).toEqual(given);
      }),
      { numRuns: 200 },
    );
  });

  it('mean to another reader what they mean to ours, whichever of the two wrote them', () => {
    fc.assert(
      fc.property(models, (given) => {
        const proto = onnx.ModelProto.decode(encodeOnnx(given));
        expect(proto.graph?.node?.map(({ opType, input }) => [opType, input])).toEqual(
          given.nodes.map(({ opType, inputs }) => [opType, [...inputs]]),
        );
        expect(proto.graph?.initializer?.map(({ dims }) => dims?.map(Number))).toEqual(
          given.initializers.map(({ shape }) => [...shape]),
        );
        expect(proto.graph?.output?.map(({ name }) => name)).toEqual(given.outputs.map(({ name }) => name));
        expect(decodeOnnx(onnx.ModelProto.encode(proto).finish())).toEqual(given);
      }),
      { numRuns: 100 },
    );
  });

  it('are read with numbers one at a time as with packed ones, and with fields that nobody knows', () => {
    const proto = onnx.ModelProto.decode(encodeOnnx({ ...small, initializers: [integers('w', [1, -2, 3])] }));
    const [tensor] = proto.graph?.initializer ?? [];
    Object.assign(tensor ?? {}, { rawData: new Uint8Array(), int64Data: [5, -6, 7] });
    const [packed] = decodeOnnx(onnx.ModelProto.encode(proto).finish()).initializers;
    expect(packed?.data).toEqual(BigInt64Array.of(5n, -6n, 7n));
    const writer = new BinaryWriter();
    writer.tag(1, WireType.Varint).int64(3).tag(2, WireType.Varint).int32(7);
    for (const entry of [5, -6, 7]) writer.tag(7, WireType.Varint).int64(entry);
    writer.tag(99, WireType.StartGroup).tag(5, WireType.Bit32).fixed32(1).tag(99, WireType.EndGroup);
    const [single] = decodeOnnx(
      inGraph(
        message([GRAPH.node, message([NODE.opType, new Uint8Array()])], [GRAPH.initializer, writer.finish()]),
      ),
    ).initializers;
    expect(single?.data).toEqual(packed?.data);
  });

  it('named after parts of objects are names like others', () => {
    const nodes = [
      op('Relu', ['x'], '__proto__', { constructor: { int: 1 } }),
      op('Relu', ['__proto__'], 'y', JSON.parse('{"__proto__": {"int": 2}}')),
    ];
    const read = decodeOnnx(
      encodeOnnx({ ...small, nodes, metadata: JSON.parse('{"__proto__": "polluted"}') }),
    );
    expect(Object.keys(read.nodes[1]?.attributes ?? {})).toEqual(['__proto__']);
    expect(Object.keys(read.metadata)).toEqual(['__proto__']);
    expect(({} as { int?: number }).int).toBeUndefined();
  });
});

describe('hostile bytes are refused in one line, soon and without room being made for what they claim', () => {
  it('millions of empty nodes, names, attributes and extents', () => {
    const empty = message([GRAPH.node, new Uint8Array()]);
    const names = message([NODE.input, new Uint8Array()]);
    const attributes = message([NODE.attribute, new Uint8Array()]);
    for (const graph of [
      repeated(empty, 400_000),
      message([GRAPH.node, repeated(names, 400_000)]),
      message([GRAPH.node, repeated(attributes, 400_000)]),
    ])
      expect(refusal(inGraph(graph))).toMatch(
        /more nodes, names and attributes than any network has|expected each attribute once/,
      );
  });

  it('attributes of graphs within graphs, three thousand deep, are passed over', () => {
    let graph: Uint8Array = new Uint8Array();
    const subgraph = 6;
    const typeOfGraph = new BinaryWriter().tag(ATTRIBUTE.type, WireType.Varint).int32(5).finish();
    for (let depth = 0; depth < 3000; depth++) {
      const attribute = Buffer.concat([message([subgraph, graph]), typeOfGraph]);
      graph = message([GRAPH.node, message([NODE.attribute, attribute])]);
    }
    expect(decodeOnnx(inGraph(graph)).nodes[0]?.attributes['']).toEqual({ other: 'GRAPH' });
  });

  it('groups within groups of a field that nobody knows', () => {
    const open = Uint8Array.of(((99 << 3) % 128) | 0x80 | 3, (99 << 3) >> 7);
    expect(refusal(repeated(open, 100_000))).toMatch(/recursion depth/);
  });

  it('lengths beyond the file, and numbers that never end', () => {
    expect(refusal(Uint8Array.of((MODEL.graph << 3) | 2, 0xff, 0xff, 0xff, 0xff, 0x0f))).toMatch(/cut off/);
    expect(refusal(repeated(Uint8Array.of(0xff), 1000))).toMatch(/cut off/);
    expect(refusal(Uint8Array.of(MODEL.irVersion << 3, ...repeated(Uint8Array.of(0xff), 20)))).toMatch(
      /cut off/,
    );
  });

  it('fields of another type than theirs', () => {
    expect(refusal(Uint8Array.of((MODEL.irVersion << 3) | 2, 1, 1))).toMatch(/wire type 2 instead of 0/);
    expect(refusal(Uint8Array.of(MODEL.graph << 3, 1))).toMatch(/wire type 0 instead of 2/);
  });

  it('constants and attributes that are there twice, second graphs, functions', () => {
    expect(refusal(encodeOnnx({ ...small, initializers: [random('w', [1]), random('w', [1])] }))).toMatch(
      /each constant once, got "w" again/,
    );
    const bytes = encodeOnnx(small);
    expect(refusal(repeated(bytes, 2))).toMatch(/expected one graph, got another/);
    const withFunction = new Uint8Array([...bytes, ...message([MODEL.functions, new Uint8Array()])]);
    expect(refusal(withFunction)).toMatch(/functions of its own/);
    const attribute = message([ATTRIBUTE.name, new TextEncoder().encode('alpha')]);
    expect(
      refusal(
        inGraph(message([GRAPH.node, message([NODE.attribute, attribute], [NODE.attribute, attribute])])),
      ),
    ).toMatch(/each attribute once, got alpha again/);
  });

  it('references to other files, whatever path they name', () => {
    const proto = onnx.ModelProto.decode(encodeOnnx(small));
    const tensor = proto.graph?.initializer?.[0] as {
      externalData: object[];
      dataLocation: number;
      rawData: Uint8Array;
    };
    const changes = [
      { externalData: [{ key: 'location', value: '../../etc/passwd' }] },
      { externalData: [], dataLocation: 1, rawData: new Uint8Array() },
    ];
    for (const change of changes) {
      Object.assign(tensor, change);
      expect(refusal(onnx.ModelProto.encode(proto).finish())).toMatch(/expected its values inside the file/);
    }
  });

  it('extents whose product is no number, more than 32 of them, negative ones, and more values than claimed', () => {
    const proto = onnx.ModelProto.decode(encodeOnnx(small));
    const tensor = proto.graph?.initializer?.[0] as { dims: number[] };
    const read = (dims: number[]) => {
      tensor.dims = dims;
      return refusal(onnx.ModelProto.encode(proto).finish());
    };
    expect(read(new Array(20).fill(2 ** 52))).toMatch(/expected .* bytes for shape/);
    expect(read(new Array(1000).fill(1))).toMatch(/at most 32 axes, got 1000/);
    expect(read([7, -4])).toMatch(/extents ≥ 0, got \[7,-4\]/);
    expect(read([0])).toMatch(/expected 0 bytes for shape \[0\], got 112/);
    expect(read([3, 4])).toMatch(/expected 48 bytes/);
  });

  it('names of megabytes, in a line of thousands', () => {
    const long = encodeOnnx({
      ...small,
      initializers: [{ name: 'n'.repeat(2 ** 21), shape: [2], data: Float32Array.of(1) }],
    });
    expect(refusal(long).length).toBeLessThan(5000);
  });
});

describe('damage', () => {
  /** Reads or refuses. */
  const survives = (bytes: Uint8Array): void => {
    try {
      decodeOnnx(bytes, 'file.onnx');
    } catch (error) {
      expect(error, (error as Error).stack).toBeInstanceOf(FormatError);
      expect((error as Error).message).not.toContain('\n');
    }
  };

  it('by noise, flipped bits, cuts and pieces of other models ends as a FormatError or as a model', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), survives), { numRuns: 500 });
    const changed = fc.tuple(
      models,
      models,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 7 })), { maxLength: 6 }),
      fc.nat(),
      fc.nat(),
      fc.nat(),
      fc.boolean(),
    );
    fc.assert(
      fc.property(changed, ([first, second, flips, from, to, at, cut]) => {
        const [bytes, other] = [encodeOnnx(first), encodeOnnx(second)];
        for (const [place, bit] of flips)
          bytes[place % bytes.length] = (bytes[place % bytes.length] as number) ^ (1 << bit);
        const piece = other.subarray(Math.min(from, to) % other.length, Math.max(from, to) % other.length);
        const place = at % bytes.length;
        survives(
          Uint8Array.from([...bytes.subarray(0, place), ...piece, ...(cut ? [] : bytes.subarray(place))]),
        );
      }),
      { numRuns: 800 },
    );
  });
});
