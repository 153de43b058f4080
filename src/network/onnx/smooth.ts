/** Sigmoid, Tanh: the smooth activation functions, by the names that ONNX gives them. */
import { activationFunctions, activationNames } from '../activations/index.js';
import { anyActivation, type OperatorReader } from './operator.js';
import { pointwise } from './view.js';

export const smoothOperators: Readonly<Record<string, OperatorReader>> = Object.fromEntries(
  activationNames.map((name): [string, OperatorReader] => [
    activationFunctions[name].onnx,
    {
      attributes: [],
      read: (call) =>
        pointwise(call.draft, anyActivation(call), (inputs, output) => ({
          kind: 'smooth',
          function: name,
          inputs,
          output,
        })),
    },
  ]),
);
