/** How large a network may be in the page. */

/** Beyond these a step of ε would take longer than anybody waits, or more memory than a page has. */
export const MOST = { bytes: 32 * 2 ** 20, parameters: 4_000_000, neurons: 16_384 } as const;

/** One line for a network that is too large, which begins with its file's name. */
export const tooLarge = (name: string, most: string, got: number): string =>
  `${name}: expected at most ${most} in the page, got ${got}; take \`tautnet certify\``;

/** Why a file of so many bytes is not read; undefined where it is. */
export const sizeProblem = (name: string, bytes: number): string | undefined =>
  bytes > MOST.bytes ? tooLarge(name, `${MOST.bytes} bytes`, bytes) : undefined;
