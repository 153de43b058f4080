/** PGPE minimises a function that has no derivative: `node examples/estimate-any-function.mjs`. */
import { estimate, pgpe } from 'tautnet';

const steep = (theta) => Math.abs(theta[0]) + (theta[1] > 0 ? 1 : 0);
let [theta, state] = [Float32Array.of(1, 0.5), undefined];
for (let step = 0; step < 100; step++) {
  const found = await estimate(steep, theta, pgpe({ samples: 16, sigma: 0.3 }), { step, steps: 100, state });
  theta = theta.map((value, i) => value - 0.05 * found.gradient[i]);
  state = found.state;
}
console.log(`loss ${steep(theta).toFixed(3)} at θ = ${Array.from(theta, (v) => v.toFixed(2)).join(', ')}`);
