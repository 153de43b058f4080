/**
 * Architectures written down: "conv 4@5 s2 p2, conv 8@4 s2 p1, linear", the layers in order, a ReLU after
 * every one but the last.
 *
 * - `conv C@K`: C channels, a kernel of K × K; `s` is the stride (default 1), `p` the padding (default 0);
 * - `linear N`: N outputs; the last layer is `linear` alone, with an output for each class;
 * - `bn` after either: batch normalisation before the ReLU.
 */

/** One layer of an architecture. */
export type Step = (
  | { readonly conv: readonly [channels: number, kernel: number, stride: number, padding: number] }
  | { readonly linear: number }
) & {
  readonly batchNorm?: true;
};

const CONVOLUTION = /^conv ([1-9]\d{0,4})@([1-9]\d{0,2})(?: s([1-9]\d?))?(?: p(\d{1,2}))?( bn)?$/;
const LINEAR = /^linear ([1-9]\d{0,5})( bn)?$/;

function stepOf(text: string): Step | undefined {
  const convolution = CONVOLUTION.exec(text);
  if (convolution !== null) {
    const [, channels, kernel, stride = '1', padding = '0', batchNorm] = convolution;
    const conv = [Number(channels), Number(kernel), Number(stride), Number(padding)] as const;
    return { conv, ...(batchNorm && { batchNorm: true as const }) };
  }
  const linear = LINEAR.exec(text);
  return linear === null
    ? undefined
    : { linear: Number(linear[1]), ...(linear[2] && { batchNorm: true as const }) };
}

/** Layers of a description, written alike: one space between words. */
const layersOf = (description: string): string[] =>
  description.split(',').map((layer) => layer.trim().replace(/\s+/g, ' '));

/** Why a text describes no architecture, "expected …, got …"; undefined where it does. */
export function faultOf(description: string): string | undefined {
  const layers = layersOf(description);
  const last = layers.pop();
  const odd = layers.find((layer) => stepOf(layer) === undefined);
  if (odd !== undefined)
    return `expected layers like "conv 16@5 s2 p2" or "linear 100", each with "bn" or not, got "${odd}"`;
  return last === 'linear' ? undefined : `expected "linear" as the last layer, got "${last}"`;
}

/** The layers that a text describes, the last with `classes` outputs. @throws RangeError as `faultOf` */
export function describedSteps(description: string, classes: number): Step[] {
  const fault = faultOf(description);
  if (fault !== undefined) throw new RangeError(`architecture: ${fault}`);
  const steps = layersOf(description).slice(0, -1).map(stepOf) as Step[];
  return [...steps, { linear: classes }];
}

/** The layer as a description has it: "conv 16@5 s2 p2". */
export function stepText(step: Step): string {
  const end = step.batchNorm ? ' bn' : '';
  if ('linear' in step) return `linear ${step.linear}${end}`;
  const [channels, kernel, stride, padding] = step.conv;
  return `conv ${channels}@${kernel} s${stride} p${padding}${end}`;
}
