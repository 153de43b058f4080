/** Operators that pass a value on. */
import { anyActivation, constant, type OperatorReader, refuse } from './operator.js';

const identity: OperatorReader = {
  attributes: [],
  read: (call) => call.inputs[0] ?? refuse(call, 'an input', 'none'),
};

const dropout: OperatorReader = {
  attributes: ['ratio', 'seed', 'is_test'],
  read(call) {
    if (call.inputs[2] !== undefined && constant(call, 2).data[0])
      refuse(call, 'inference', 'training mode; export the model in evaluation mode');
    return anyActivation(call);
  },
};

export const passingOperators: Readonly<Record<string, OperatorReader>> = {
  Identity: identity,
  Dropout: dropout,
};
