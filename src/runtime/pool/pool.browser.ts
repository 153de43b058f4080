/** `pool.ts` in a browser: the calling thread, a worker of the page, does the tasks itself. */
import { webDevice } from '../execution/wasm.js';
import { localPool } from './local-pool.js';
import type { Pool } from './pool.js';

/** A pool in the calling thread, on the device that the thread chose. */
export const createPool = (): Pool => localPool(webDevice());
