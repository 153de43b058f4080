/**
 * `run-session.ts` on ONNX Runtime's WebAssembly, whose memory is apart from JavaScript's: it leaves arrays
 * given for outputs as they are, so outputs are copied to them.
 */
import type ort from 'onnxruntime-node';

/** Runs a session; each output goes to the array of its tensor in `fetches`. */
export async function runSession(
  session: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  fetches: Record<string, ort.Tensor>,
): Promise<void> {
  const outputs = await session.run(feeds, Object.keys(fetches));
  for (const [name, tensor] of Object.entries(fetches))
    (tensor.data as Float32Array).set(outputs[name]?.data as Float32Array);
}
