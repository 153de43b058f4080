/**
 * Memory that every thread sees. A page that its server has not isolated has none: there, and wherever the
 * runtime lacks it, ordinary memory stands for it and messages carry copies.
 */

const exists = typeof SharedArrayBuffer !== 'undefined';

/** A zeroed buffer, shared between threads where they can share one. */
export const sharedBuffer = (bytes: number): ArrayBufferLike =>
  exists ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);

/** Whether other threads may see what is in a buffer. */
export const isShared = (buffer: ArrayBufferLike): boolean => exists && buffer instanceof SharedArrayBuffer;

/** The same numbers in memory of its own: ONNX Runtime refuses shared memory. */
export const unshared = <T extends { readonly buffer: ArrayBufferLike; slice(): T }>(data: T): T =>
  isShared(data.buffer) ? data.slice() : data;

/** The same numbers where every worker reads them without a copy being made for its message. */
export function inSharedMemory<T extends Float32Array | Float64Array | Int32Array>(data: T): T {
  const make = data.constructor as new (buffer: ArrayBufferLike) => T;
  const shared = new make(sharedBuffer(data.byteLength));
  shared.set(data);
  return shared;
}
