/** Which processor a device is, as far as the system tells: ONNX Runtime does not. */
import { basename } from 'node:path';
import type { Device } from './device.js';
import { cards, nvidiaSays, type System, thisSystem } from './system.js';

/** Drivers of graphics processors in software. */
const SOFTWARE = /swiftshader|lvp|llvmpipe|lavapipe/i;

/** The file that names WebGPU's driver where the user chose one: Vulkan's loader reads these. */
const chosenDriver = (): string | undefined => process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;

/** Whether WebGPU runs on the processor itself: its memory is the host's, and its speed says nothing. */
export const isSoftwareAdapter = (): boolean => SOFTWARE.test(chosenDriver() ?? '');

/** A name for messages and tables. */
export async function adapterName(device: Device, system: System = thisSystem): Promise<string> {
  if (device === 'cpu') return system.processor() ?? 'the processor';
  const chosen = chosenDriver();
  if (device === 'webgpu' && isSoftwareAdapter()) return `${basename(chosen as string)} (software)`;
  const nvidia = await nvidiaSays('name', system);
  if (nvidia !== undefined) return nvidia;
  const named = cards(system).map((card) =>
    system.read(`/sys/class/drm/${card}/device/product_name`)?.trim(),
  );
  return named.find((name) => name) ?? 'an adapter that the system does not name';
}
