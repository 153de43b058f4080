/**
 * `run-session.ts` on ONNX Runtime's WebAssembly, whose memory is apart from JavaScript's: it leaves arrays
 * of the host that are given for outputs as they are, so outputs are copied to them. Arrays of a device are
 * written.
 */
import type ort from 'onnxruntime-node';

/** Runs a session; each output goes to the array of its tensor in `fetches`. */
export async function runSession(
  session: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  fetches: Record<string, ort.Tensor>,
): Promise<void> {
  const asked = Object.entries(fetches);
  const places = asked.map(([name, tensor]) => [name, tensor.location === 'cpu' ? null : tensor]);
  const outputs = await session.run(feeds, Object.fromEntries(places));
  for (const [name, tensor] of asked)
    if (tensor.location === 'cpu') (tensor.data as Float32Array).set(outputs[name]?.data as Float32Array);
}
