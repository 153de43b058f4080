/** Which screen is shown: the part of the address after #. */
import { signal } from '@preact/signals';

export type Screen = 'runs' | 'run' | 'compare' | 'look' | 'landscape';

export interface Route {
  readonly screen: Screen;
  readonly names: readonly string[];
}

const SCREENS: readonly string[] = ['run', 'compare', 'look', 'landscape'];

function current(): Route {
  const [, screen = '', ...names] = location.hash.split('/');
  if (!SCREENS.includes(screen) || names.length === 0) return { screen: 'runs', names: [] };
  try {
    return { screen: screen as Screen, names: names.map(decodeURIComponent) };
  } catch {
    return { screen: 'runs', names: [] };
  }
}

export const route = signal<Route>(current());
addEventListener('hashchange', () => {
  route.value = current();
  scrollTo(0, 0);
});

export const hashOf = (screen: Screen, ...names: readonly string[]): string =>
  screen === 'runs' ? '#/' : `#/${[screen, ...names.map(encodeURIComponent)].join('/')}`;

export function go(screen: Screen, ...names: readonly string[]): void {
  location.hash = hashOf(screen, ...names);
}
