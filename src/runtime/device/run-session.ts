/** One run of a session of ONNX Runtime, its outputs written to arrays of the caller. */
import type ort from 'onnxruntime-node';

/** Runs a session; each output goes to the array of its tensor in `fetches`. */
export async function runSession(
  session: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  fetches: Record<string, ort.Tensor>,
): Promise<void> {
  await session.run(feeds, fetches);
}
