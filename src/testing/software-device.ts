/** A graphics processor in software, so that tests of devices run where there is no other. */
import { existsSync, readdirSync } from 'node:fs';

/** Where Debian's chromium-common leaves the description of SwiftShader, a Vulkan device in software. */
const SOFTWARE_DEVICE = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Signs of a graphics processor, which a software device must not hide. */
const hardware = (): boolean =>
  process.platform !== 'linux' ||
  existsSync('/dev/nvidia0') ||
  existsSync('/dev/dxg') ||
  (existsSync('/dev/dri') && readdirSync('/dev/dri').length > 0);

/**
 * Environment in which ONNX Runtime finds a software device where there is no other; the Vulkan loader reads
 * it once.
 */
export function softwareDevice(): Record<string, string> {
  const chosen = process.env.VK_ICD_FILENAMES ?? process.env.VK_DRIVER_FILES;
  return chosen === undefined && !hardware() && existsSync(SOFTWARE_DEVICE)
    ? { VK_ICD_FILENAMES: SOFTWARE_DEVICE }
    : {};
}

/** Whether WebGPU is this software device's in this process. */
export const isSoftware = (): boolean => process.env.VK_ICD_FILENAMES === SOFTWARE_DEVICE;
