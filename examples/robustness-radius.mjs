/** The largest radius that is proved at one input, by bisection: `node examples/robustness-radius.mjs`. */
import { architecture, bounds, initialize, keyOf, relaxations, robustness, verify } from 'tautnet';

const network = architecture('fc-small', [1, 2, 2], 3);
const parameters = initialize(network, 'kaiming', keyOf(0));
const image = Float32Array.of(0.2, 0.8, 0.5, 0.4);
const { lower } = await bounds(network, parameters, { lower: image, upper: image }, relaxations.ibp);
const label = lower.indexOf(Math.max(...lower));
let [proved, refuted] = [0, 1];
for (let k = 0; k < 6; k++) {
  const epsilon = (proved + refuted) / 2;
  const property = robustness(network, image, label, { epsilon });
  const { verdict } = await verify({ network, parameters }, property, { timeoutSeconds: 20 });
  if (verdict === 'unsat') proved = epsilon;
  else refuted = epsilon;
}
console.log(`class ${label} up to ε = ${proved}; not proved at ${refuted}`);
