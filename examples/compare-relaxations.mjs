/** Every relaxation on one box of one network: `node examples/compare-relaxations.mjs`. */
import { architecture, bounds, initialize, keyOf, relaxations } from 'tautnet';

const network = architecture('fc-small', [1, 2, 2], 3);
const parameters = initialize(network, 'kaiming', keyOf(0));
const box = { lower: [0.4, 0.4, 0.4, 0.4], upper: [0.6, 0.6, 0.6, 0.6] };
for (const [name, relaxation] of Object.entries(relaxations)) {
  if (name === 'lp' || name === 'exact') continue; // a solver: seconds
  const { lower, upper } = await bounds(network, parameters, box, relaxation);
  console.log(`${name.padEnd(12)} ${lower[0].toFixed(4)} ≤ f₀ ≤ ${upper[0].toFixed(4)}`);
}
