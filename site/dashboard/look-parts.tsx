/** What is seen inside an image, from plain data: nothing here asks a server. */
import type {
  AttackAnswer,
  ExactAnswer,
  LookAnswer,
  RadiusAnswer,
  RelaxationRow,
} from '../../src/insight/dashboard/answers.js';
import { short } from './parts.js';

const NAMES: Readonly<Record<string, string>> = { ibp: 'IBP', 'crown-ibp': 'CROWN-IBP', crown: 'CROWN' };
const nameOf = (relaxation: string): string => NAMES[relaxation] ?? relaxation;

interface VerdictProps {
  readonly rows: readonly RelaxationRow[];
  readonly attack?: AttackAnswer;
  readonly margin: number;
  readonly waiting: boolean;
}

export function Verdict({ rows, attack, margin, waiting }: VerdictProps) {
  const proof = rows.find(({ proves }) => proves);
  if (margin <= 0)
    return (
      <p class="verdict broken">
        WRONG AS IT IS <small>without any perturbation</small>
      </p>
    );
  if (proof)
    return (
      <p class="verdict certified">
        CERTIFIED <small>by {nameOf(proof.relaxation)}</small>
      </p>
    );
  if (attack?.found)
    return (
      <p class="verdict broken">
        BROKEN <small>margin {short(attack.margin ?? 0)} at the counterexample</small>
      </p>
    );
  return (
    <p class="verdict open">
      {waiting ? '…' : 'NOT PROVED'}{' '}
      <small>{waiting ? 'computing' : 'neither a proof nor a counterexample was found'}</small>
    </p>
  );
}

/** The largest lower bound of a margin. */
function largestOf(rows: readonly RelaxationRow[], j: number): string {
  const known = rows.flatMap(({ margins }) => margins[j] ?? []);
  return known.length > 0 ? short(Math.max(...known)) : '–';
}

export function Margins({ answer, rows }: { answer: LookAnswer; rows: readonly RelaxationRow[] }) {
  const values = rows.flatMap(({ margins }) => margins.filter((value) => value !== null));
  const far = Math.max(...values.map(Math.abs), Math.abs(answer.margin), 1e-6);
  // Bounds far below zero would flatten all others: the scale is that of asinh.
  const unit = Math.max(Math.abs(answer.margin), far / 50);
  const at = (value: number) => 150 + (140 * Math.asinh(value / unit)) / Math.asinh(far / unit);
  return (
    <section class="figure">
      <h2>Lower bounds of the margins</h2>
      <ul class="legend">
        {rows.map(({ relaxation, skipped }) => (
          <li key={relaxation} class={`r-${relaxation}`}>
            {nameOf(relaxation)}
            {skipped ? `: left out, ${skipped}` : ''}
          </li>
        ))}
      </ul>
      <div class="margins">
        {answer.classes.map((wrong, j) => (
          <div class="margin" key={wrong}>
            <span>
              {answer.label} against {wrong}
            </span>
            <svg
              viewBox="0 0 300 14"
              role="img"
              aria-label={rows
                .map(({ relaxation, margins }) => `${nameOf(relaxation)} ${short(margins[j] ?? Number.NaN)}`)
                .join(', ')}
            >
              <line class="rail" x1="4" x2="296" y1="7" y2="7" />
              <line class="zero" x1="150" x2="150" y1="0" y2="14" />
              {rows.map(({ relaxation, margins }, k) => {
                const value = margins[j];
                if (value === null || value === undefined) return null;
                // One below the other: equal bounds do not hide one another.
                return (
                  <circle
                    key={relaxation}
                    class={`dot r-${relaxation}`}
                    cx={at(value)}
                    cy={4 + 3 * k}
                    r="3.5"
                  >
                    <title>{`${nameOf(relaxation)}: ${short(value)}`}</title>
                  </circle>
                );
              })}
            </svg>
            <span class="least">{largestOf(rows, j)}</span>
          </div>
        ))}
      </div>
      <p class="quiet">
        Right of the line the answer cannot become that class. A proof has all dots of one colour there. The
        numbers are the largest bounds.
      </p>
    </section>
  );
}

export function Layers({ answer: { layers } }: { answer: LookAnswer }) {
  return (
    <section class="figure">
      <h2>Neurons by layer</h2>
      <ul class="legend">
        <li class="c1">unstable</li>
        <li class="c2">active</li>
        <li class="c7">inactive</li>
      </ul>
      <div class="bars layers">
        {layers.map(({ neurons, active, inactive, unstable }, k) => (
          <div class="bar" key={`${k}:${neurons}`}>
            <span>
              ReLU {k + 1}: {unstable} of {neurons} unstable
            </span>
            <svg
              viewBox="0 0 100 10"
              preserveAspectRatio="none"
              role="img"
              aria-label={`${unstable} unstable, ${active} active, ${inactive} inactive`}
            >
              <rect class="fill c1" x="0" y="0" height="10" width={(100 * unstable) / neurons} />
              <rect
                class="fill c2"
                x={(100 * unstable) / neurons}
                y="0"
                height="10"
                width={(100 * active) / neurons}
              />
              <rect
                class="fill c7"
                x={(100 * (unstable + active)) / neurons}
                y="0"
                height="10"
                width={(100 * inactive) / neurons}
              />
            </svg>
          </div>
        ))}
      </div>
    </section>
  );
}

/** Between these two the exact radius is as good as known. */
const CLOSE = 0.002;

function Exact({ proved, broken, done, seconds }: ExactAnswer) {
  const found = broken !== null && broken - proved < CLOSE;
  const least = <b>{short(proved)}</b>;
  const most = broken === null ? '' : `, < ${short(broken)}`;
  if (found)
    return (
      <span data-exact="found" title={`a counterexample at ${short(broken)}`}>
        , {least} exact{done ? '' : ' …'}
      </span>
    );
  return (
    <span data-exact={done ? 'open' : 'searching'}>
      , exact ≥ {least} so far{most}
      {done ? ` (${seconds} s of branch and bound)` : ' …'}
    </span>
  );
}

/** The largest certified ε by each relaxation, and the exact one as it becomes known. */
export function Radii({ radii, exact }: { radii: readonly RadiusAnswer[]; exact?: ExactAnswer }) {
  if (radii.length === 0) return <p class="radius quiet">Searching for the largest certified ε …</p>;
  const best = radii.reduce((a, b) => (b.epsilon > a.epsilon ? b : a));
  return (
    <p class="radius" aria-live="polite">
      {best.epsilon === 0 ? (
        'no ball around it is certified by a relaxation'
      ) : (
        <>
          certified up to ε = <b>{short(best.epsilon)}</b> by {nameOf(best.relaxation)}
        </>
      )}
      {exact && <Exact {...exact} />}
      <small>
        {' '}
        ({radii.map(({ relaxation, epsilon }) => `${nameOf(relaxation)} ${short(epsilon)}`).join(', ')})
      </small>
    </p>
  );
}

export const Picture = ({ src, title }: { src?: string | undefined; title: string }) => (
  <figure>
    {src ? <img src={src} alt={title} /> : <div class="nothing" />}
    <figcaption>{title}</figcaption>
  </figure>
);

export const MARKS = [
  ['1/255', 1 / 255],
  ['2/255', 2 / 255],
  ['0.1', 0.1],
  ['0.3', 0.3],
] as const;
const MOST = 0.4;
/** The slider is finer near 0: ε = MOST · t². */
const toEpsilon = (t: number): number => Number((MOST * t * t).toPrecision(3));
const toSlider = (epsilon: number): number => Math.sqrt(epsilon / MOST);

/** ε a step of the slider further. */
export const slid = (epsilon: number, by: number): number =>
  toEpsilon(Math.min(1, Math.max(0, toSlider(epsilon) + by)));

/** A slider for ε, and buttons for the radii that the field uses. */
export function EpsilonSlider({ epsilon, set }: { epsilon: number; set: (epsilon: number) => void }) {
  return (
    <>
      <label class="slider">
        ε = <output>{short(epsilon)}</output>
        <input
          type="range"
          min="0"
          max="1"
          step="0.005"
          value={toSlider(epsilon)}
          aria-label="ε"
          onInput={(event) => set(toEpsilon(Number(event.currentTarget.value)))}
        />
      </label>
      {MARKS.map(([text, value]) => (
        <button type="button" key={text} aria-pressed={epsilon === value} onClick={() => set(value)}>
          {text}
        </button>
      ))}
    </>
  );
}
