/** One kind of job: how a worker checks it, where it does it, and what it answers. */
import type { z } from 'zod';
import type { DeviceChoice } from '../../runtime/device/device.js';
import type { Work } from '../work.js';
import type { Address } from './address.js';

/** What a worker offers to a job. */
export interface Site {
  /** The job's name in the queue. */
  readonly id: string;
  /** Folder of the worker for what is not shared. */
  readonly folder: string;
  readonly threads: number;
  /** The server that the job came from. */
  readonly address: Address;
  /** Where programs run; as the job says unless given. */
  readonly device?: DeviceChoice;
}

/** A job that can be done here. */
export interface OpenedWork {
  readonly work: Work;
  /** What travels back. */
  answer(result: unknown): Promise<unknown>;
  /** What is added to the job's data where it goes back into the queue unfinished. */
  handBack?(): Promise<object>;
}

export interface WorkKind<Data> {
  readonly schema: z.ZodType<Data>;
  /** What the job is, for the worker's log. */
  describe(data: Data): string;
  /** @throws UsageError, … for a job that nobody can do */
  open(data: Data, site: Site): Promise<OpenedWork | { readonly refused: string }>;
}
