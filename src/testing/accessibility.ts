/** Faults of a page that readers with other senses or hands would meet, as axe-core judges them. */
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}

/**
 * Rules that the page breaks seriously, each with the elements that do.
 * @param page of a context with `bypassCSP`, as axe-core is a script of another
 */
export async function seriousFaults(page: Page): Promise<[rule: string, elements: string[]][]> {
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve('axe-core/axe.min.js') });
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
  const serious = violations.filter(({ impact }) => /serious|critical/.test(impact));
  return serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}
