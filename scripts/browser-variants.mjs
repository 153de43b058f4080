/**
 * How the library becomes a browser's, for the bundler: where `x.browser.js` stands beside `x.js` it takes
 * that one's place, and ONNX Runtime is its WebAssembly. A module of Node that is left ends the build.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** ONNX Runtime's doors: for the processor, and with WebGPU, which is twice as large. */
export const ENGINES = { cpu: 'onnxruntime-web/wasm', webgpu: 'onnxruntime-web/webgpu' };

/** The file of a relative import, TypeScript's or its compiled form. */
const fileOf = (path) => [path.replace(/\.js$/, '.ts'), path].find(existsSync);

/**
 * A plugin of Rolldown. `external`: leaves ONNX Runtime to whoever uses the bundle; `device`: whose door of
 * it is taken.
 */
export const browserVariants = ({ external = false, device = 'cpu' } = {}) => ({
  name: 'browser-variants',
  resolveId(source, importer) {
    if (source === 'onnxruntime-node')
      return external
        ? { id: ENGINES[device], external: true }
        : this.resolve(ENGINES[device], importer, { skipSelf: true });
    if (source.startsWith('node:'))
      throw new Error(`${importer}: expected nothing of Node in a browser, got ${source}; give it a variant`);
    if (!source.startsWith('.') || importer === undefined) return null;
    return fileOf(join(dirname(importer), source.replace(/\.js$/, '.browser.js'))) ?? null;
  },
});
