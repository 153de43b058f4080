/** The check of arrays at the kernels' doors: the kernels themselves check no bounds. */

export type Floats = Float32Array | Float64Array;

/**
 * @param sizes lengths by position, as the chain has them
 * @param like an array of the type that all must have
 * @throws RangeError in one line
 */
export function checkArrays(
  kernel: string,
  sizes: readonly number[],
  arrays: readonly Floats[],
  like = arrays[0] as Floats,
): void {
  if (arrays.length !== sizes.length)
    throw new RangeError(`${kernel} kernel: expected ${sizes.length} arrays, got ${arrays.length}`);
  for (const [i, array] of arrays.entries())
    if (array.length !== sizes[i] || array.constructor !== like.constructor)
      throw new RangeError(
        `${kernel} kernel: expected array ${i} of ${sizes[i]} numbers as ${like.constructor.name}, got ` +
          `${array.length} as ${array.constructor.name}`,
      );
}

/** @throws RangeError unless each array has a gradient of its size, or none */
export function checkGradients(
  kernel: string,
  arrays: readonly Floats[],
  gradients: readonly (Floats | undefined)[],
): void {
  const wrong = gradients.findIndex((g, i) => g !== undefined && g.length !== arrays[i]?.length);
  if (wrong >= 0 || gradients.length !== arrays.length)
    throw new RangeError(`${kernel} kernel: expected a gradient of the size of each array, or none`);
}
