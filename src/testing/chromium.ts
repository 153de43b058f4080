/** A real browser without a window, for end-to-end tests of pages; missing where none is installed. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

/** Path of the first browser on the PATH, or what TAUTNET_CHROMIUM names. */
export function chromiumPath(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const named = process.env.TAUTNET_CHROMIUM;
  const candidates = named ? [named] : NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A browser without an adapter for WebGPU, or with SwiftShader's, a graphics processor in software. */
export function openChromium(executablePath: string, { webgpu = false } = {}): Promise<Browser> {
  const graphics = webgpu
    ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']
    : ['--disable-gpu'];
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', ...graphics] });
}
