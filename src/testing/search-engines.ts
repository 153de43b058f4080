/**
 * Branch and bound in the calling thread, for tests: engines of many parameters of one network share its
 * compiled programs.
 */
import { afterAll } from 'vitest';
import type { Network } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import { createExecutor } from '../runtime/execution/executor.js';
import type { Engine } from '../verification/branch-and-bound/engine.js';
import { planStore } from '../verification/proof/context.js';

/** Engines of the tests of one file; their programs are closed after the last test. */
export function searchEngines(): (
  network: Network,
  parameters: ParameterArrays,
  expired?: () => boolean,
) => Engine {
  const executor = createExecutor();
  const stores = new WeakMap<Network, Engine['plan']>();
  afterAll(() => executor.close());
  return (network, parameters, expired = () => false) => {
    const plan = stores.get(network) ?? planStore();
    stores.set(network, plan);
    return {
      network,
      dtype: 'float32',
      threads: 1,
      plan,
      expired,
      run: async (plan, feeds) => (await executor.run(plan, { ...parameters, ...feeds })).outputs,
    };
  };
}
