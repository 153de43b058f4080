/** Keys of a screen. */
import { useEffect } from 'preact/hooks';

export type Keys = Readonly<Record<string, () => void>>;

/** Keys do what they do unless somebody writes text, or holds a modifier. */
export function useKeys(keys: Keys): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const writes =
        target instanceof HTMLInputElement && target.type !== 'range' && target.type !== 'checkbox';
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (writes && event.key !== 'Escape') return;
      // Arrows scroll what has the focus for that.
      if (event.key.startsWith('Arrow') && target.closest('.scroll')) return;
      // A link or a button that has the focus takes Enter and Space itself.
      if (/^(A|BUTTON)$/.test(target.tagName) && (event.key === 'Enter' || event.key === ' ')) return;
      const action = keys[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  });
}
