/** Small parts that several screens show. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { CardAccuracies } from '../../src/insight/dashboard/answers.js';

export const percent = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : `${(100 * value).toFixed(1)} %`;

export const short = (value: number): string => String(Number(value.toPrecision(3)));

/** Text with the name of a colour's class. */
export const ACCURACIES = [
  ['natural', 'natural'],
  ['adversarial', 'adversarial'],
  ['certified', 'certified'],
] as const satisfies readonly (readonly [keyof CardAccuracies, string])[];

/** The three accuracies as marks on one scale from 0 to 100 %. */
export function Scale({ accuracies }: { accuracies: CardAccuracies }) {
  const text = ACCURACIES.map(([name]) => `${name} ${percent(accuracies[name])}`).join(', ');
  return (
    <svg class="scale" viewBox="0 0 120 16" role="img" aria-label={text}>
      <title>{text}</title>
      <line x1="4" x2="116" y1="8" y2="8" class="rail" />
      {ACCURACIES.map(([name]) => {
        const value = accuracies[name];
        return value === null ? null : (
          <circle key={name} class={`dot ${name}`} cx={4 + 112 * value} cy="8" r="4.5" />
        );
      })}
    </svg>
  );
}

/** Losses over epochs, as small as a word. */
export function Spark({ values }: { values: readonly number[] }) {
  if (values.length < 2) return null;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const at = (value: number, i: number) =>
    `${(2 + (96 * i) / (values.length - 1)).toFixed(1)},${(22 - (20 * (value - low)) / (high - low || 1)).toFixed(1)}`;
  return (
    <svg
      class="spark"
      viewBox="0 0 100 24"
      role="img"
      aria-label={`loss, now ${short(values.at(-1) as number)}`}
    >
      <polyline points={values.map(at).join(' ')} />
    </svg>
  );
}

/** One line that says what is wrong or missing. */
export const Card = ({ children, bad = false }: { children: ComponentChildren; bad?: boolean }) => (
  <div class={bad ? 'card bad' : 'card'} role={bad ? 'alert' : 'status'}>
    {children}
  </div>
);

/** A screen that cannot be shown: what it is of, and why in one line. */
export const Refused = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <>
    <h1>{title}</h1>
    <Card bad>{children}</Card>
  </>
);

/** What may be wider than the page, and is then scrolled by keyboard, too. */
export const Scrolled = ({ label, children }: { label: string; children: ComponentChildren }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: browsers do not all give the focus to what scrolls
  <section class="scroll" aria-label={label} tabIndex={0}>
    {children}
  </section>
);

/** A value that has not changed for a while. */
export function useSettled<T>(value: T, milliseconds: number): T | undefined {
  const [settled, setSettled] = useState<T>();
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled === value ? settled : undefined;
}

/**
 * A command and a button that copies it; where the browser forbids that, on pages from other machines say,
 * the command is selected.
 */
export function Command({ text }: { text: string }) {
  const [said, setSaid] = useState('copy');
  const code = useRef<HTMLElement>(null);
  const select = () => {
    if (code.current) getSelection()?.selectAllChildren(code.current);
    setSaid('selected');
  };
  const copy = async () => {
    if (navigator.clipboard === undefined) return select();
    await navigator.clipboard.writeText(text).then(() => setSaid('copied'), select);
  };
  return (
    <div class="command">
      <code ref={code}>{text}</code>
      <button type="button" onClick={copy} aria-live="polite">
        {said}
      </button>
    </div>
  );
}

export const Keys = ({ keys }: { keys: readonly (readonly [key: string, does: string])[] }) => (
  <p class="keys">
    {keys.map(([key, does]) => (
      <span key={key}>
        <kbd>{key}</kbd> {does}
      </span>
    ))}
  </p>
);
