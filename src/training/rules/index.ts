/** Update rules by name. To add one: a file that exports a function returning an UpdateRule, a line here. */
import { adam } from './adam.js';
import { clipup } from './clipup.js';
import { sgd } from './sgd.js';
import type { UpdateRule } from './update-rule.js';

/** Each rule with the options that its paper recommends. */
export const rules = {
  adam: () => adam() as UpdateRule,
  sgd: () => sgd() as UpdateRule,
  clipup: () => clipup() as UpdateRule,
} as const satisfies Record<string, () => UpdateRule>;
export type RuleName = keyof typeof rules;
