/** ONNX Runtime's WebAssembly: where a browser gets it from. */
import ort from 'onnxruntime-node';
import type { Device } from '../device/device.js';

/**
 * Tells the runtime where its WebAssembly is, before the first program is opened in this thread. Without it
 * the runtime asks for `ort-wasm-simd-threaded.wasm` beside the script. One thread computes in each worker of
 * a page, so that no page has to be isolated from other origins.
 *
 * @param wasm the address of the file, or its bytes
 */
export function useWasm(wasm: string | ArrayBuffer): void {
  const { env } = ort;
  env.wasm.numThreads = 1;
  if (typeof wasm === 'string') env.wasm.wasmPaths = { wasm };
  else env.wasm.wasmBinary = wasm;
}

let device: Device = 'cpu';

/** The device of pools that this thread opens from now on: WebGPU with its door, `onnxruntime-web/webgpu`. */
export function useWebDevice(chosen: Exclude<Device, 'cuda'>): void {
  device = chosen;
}

/** The device of pools for which none is named. */
export const webDevice = (): Device => device;
