/**
 * Numbers of the ONNX project's onnx.proto: fields by message, element types, attribute types. Source:
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
 */

export const MODEL = {
  irVersion: 1,
  producerName: 2,
  docString: 6,
  graph: 7,
  opsetImport: 8,
  metadataProps: 14,
  functions: 25,
} as const;
export const OPSET = { domain: 1, version: 2 } as const;
export const ENTRY = { key: 1, value: 2 } as const;
export const GRAPH = {
  node: 1,
  name: 2,
  initializer: 5,
  input: 11,
  output: 12,
  sparseInitializer: 15,
} as const;
export const NODE = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 } as const;
export const ATTRIBUTE = { name: 1, f: 2, i: 3, s: 4, t: 5, floats: 7, ints: 8, type: 20 } as const;
export const VALUE = { name: 1, type: 2 } as const;
export const TYPE = { tensor: 1 } as const;
export const TENSOR_TYPE = { elementType: 1, shape: 2 } as const;
export const SHAPE = { dim: 1 } as const;
export const DIMENSION = { value: 1, name: 2 } as const;
export const TENSOR = {
  dims: 1,
  dataType: 2,
  floatData: 4,
  int32Data: 5,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  externalData: 13,
  dataLocation: 14,
} as const;
export const EXTERNAL = 1;

/** Names of element types by their numbers. */
export const ELEMENT_TYPES = [
  ...[
    'UNDEFINED',
    'FLOAT',
    'UINT8',
    'INT8',
    'UINT16',
    'INT16',
    'INT32',
    'INT64',
    'STRING',
    'BOOL',
    'FLOAT16',
    'DOUBLE',
    'UINT32',
    'UINT64',
  ],
  ...[
    'COMPLEX64',
    'COMPLEX128',
    'BFLOAT16',
    'FLOAT8E4M3FN',
    'FLOAT8E4M3FNUZ',
    'FLOAT8E5M2',
    'FLOAT8E5M2FNUZ',
    'UINT4',
    'INT4',
    'FLOAT4E2M1',
  ],
] as const;

/** Names of attribute types by their numbers. */
export const ATTRIBUTE_TYPES = [
  ...[
    'UNDEFINED',
    'FLOAT',
    'INT',
    'STRING',
    'TENSOR',
    'GRAPH',
    'FLOATS',
    'INTS',
    'STRINGS',
    'TENSORS',
    'GRAPHS',
  ],
  ...['SPARSE_TENSOR', 'SPARSE_TENSORS', 'TYPE_PROTO', 'TYPE_PROTOS'],
] as const;
