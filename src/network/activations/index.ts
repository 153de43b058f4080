/** Smooth activation functions by name. */
import type { ActivationFunction } from './activation-function.js';
import { sigmoid } from './sigmoid.js';
import { tanh } from './tanh.js';

export const activationFunctions = { sigmoid, tanh } as const satisfies Record<string, ActivationFunction>;
export type ActivationName = keyof typeof activationFunctions;
export const activationNames = Object.keys(activationFunctions) as ActivationName[];

export type { ActivationFunction } from './activation-function.js';
