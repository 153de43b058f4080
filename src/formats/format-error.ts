/** Everything below a space, and delete. */
const CONTROL = new RegExp(
  `[${String.fromCharCode(0)}-${String.fromCharCode(31)}${String.fromCharCode(127)}]+`,
  'g',
);

/** Names in a file may be of any length; an error stays readable. */
const LONGEST = 4000;

/**
 * Bytes or text that are not what their format demands: one line that names the source, what was expected,
 * what came.
 */
export class FormatError extends Error {
  override name = 'FormatError';
  /** What a file calls its parts may hold anything; the message stays one line. */
  constructor(message: string, options?: ErrorOptions) {
    const line = message.length > LONGEST ? `${message.slice(0, LONGEST)}…` : message;
    super(line.replace(CONTROL, ' '), options);
  }
}
