/** `pool.ts` in a browser: the calling thread, a worker of the page, does the tasks itself. */
import { localPool } from './local-pool.js';

/** A pool in the calling thread. */
export const createPool = localPool;
