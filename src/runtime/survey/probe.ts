/**
 * A process that tries one device and prints what it found as one line of JSON: `node device-probe.js
 * webgpu`. Providers write to stderr on their own and, with a broken driver, may end the process; both are
 * then nobody's concern but its caller's (`devices`).
 */
import ort from 'onnxruntime-node';
import type { Device } from '../device/device.js';
import { differenceFromCpu, speedOf } from './self-test.js';

// Which library a provider lacks stands in the log alone.
ort.env.logLevel = 'error';

export type Finding = { readonly difference: number; readonly speed: number } | { readonly error: string };

async function finding(device: Device): Promise<Finding> {
  try {
    return { difference: await differenceFromCpu(device), speed: await speedOf(device) };
  } catch (error) {
    const { message, cause } = error as Error;
    return { error: cause instanceof Error ? cause.message : message };
  }
}

process.stdout.write(`${JSON.stringify(await finding(process.argv[2] as Device))}\n`);
