/** Look inside an image: its ball, what each relaxation proves of it, and what breaks it. */
import { useEffect, useState } from 'preact/hooks';
import type {
  AttackAnswer,
  ImagesAnswer,
  LookAnswer,
  RadiusAnswer,
  RelaxationRow,
} from '../../src/insight/dashboard/answers.js';
import { useKeys } from './keys.js';
import { Card, Keys, Refused, short } from './parts.js';
import { go } from './route.js';
import { useAnswer } from './server.js';

const MARKS = [
  ['1/255', 1 / 255],
  ['2/255', 2 / 255],
  ['0.1', 0.1],
  ['0.3', 0.3],
] as const;
const MOST = 0.4;
const STRIP = 24;
const NAMES: Readonly<Record<string, string>> = { ibp: 'IBP', 'crown-ibp': 'CROWN-IBP', crown: 'CROWN' };
const nameOf = (relaxation: string): string => NAMES[relaxation] ?? relaxation;

/** The slider is finer near 0: ε = MOST · t². */
const toEpsilon = (t: number): number => Number((MOST * t * t).toPrecision(3));
const toSlider = (epsilon: number): number => Math.sqrt(epsilon / MOST);

/** A value that has not changed for a while. */
function useSettled<T>(value: T, milliseconds: number): T | undefined {
  const [settled, setSettled] = useState<T>();
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled === value ? settled : undefined;
}

interface VerdictProps {
  readonly rows: readonly RelaxationRow[];
  readonly attack?: AttackAnswer;
  readonly margin: number;
  readonly waiting: boolean;
}

function Verdict({ rows, attack, margin, waiting }: VerdictProps) {
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

function Margins({ answer, rows }: { answer: LookAnswer; rows: readonly RelaxationRow[] }) {
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
              {rows.map(({ relaxation, margins }) => {
                const value = margins[j];
                if (value === null || value === undefined) return null;
                return (
                  <circle key={relaxation} class={`dot r-${relaxation}`} cx={at(value)} cy="7" r="4.5">
                    <title>{`${nameOf(relaxation)}: ${short(value)}`}</title>
                  </circle>
                );
              })}
            </svg>
          </div>
        ))}
      </div>
      <p class="quiet">
        Right of the line the answer cannot become that class. A proof has all dots of one colour there.
      </p>
    </section>
  );
}

function Layers({ answer: { layers } }: { answer: LookAnswer }) {
  return (
    <section class="figure">
      <h2>Neurons by layer</h2>
      <ul class="legend">
        <li class="c1">unstable</li>
        <li class="c2">active</li>
        <li class="c7">inactive</li>
      </ul>
      <div class="bars">
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

function Radii({ url }: { url: string | undefined }) {
  const { answer } = useAnswer<RadiusAnswer>(url);
  if (answer === undefined) return <p class="quiet">Searching for the largest certified ε …</p>;
  const best = answer.radii.reduce((a, b) => (b.epsilon > a.epsilon ? b : a), { relaxation: '', epsilon: 0 });
  if (best.epsilon === 0) return <p class="radius">No ball around it is certified by any of them.</p>;
  return (
    <p class="radius">
      certified up to ε = <b>{short(best.epsilon)}</b> by {nameOf(best.relaxation)}
      <small>
        {' '}
        ({answer.radii.map(({ relaxation, epsilon }) => `${nameOf(relaxation)} ${short(epsilon)}`).join(', ')}
        )
      </small>
    </p>
  );
}

const Picture = ({ src, title }: { src?: string | undefined; title: string }) => (
  <figure>
    {src ? <img src={src} alt={title} /> : <div class="nothing" />}
    <figcaption>{title}</figcaption>
  </figure>
);

export function Look({ name }: { name: string }) {
  const [image, setImage] = useState(0);
  const [epsilon, setEpsilon] = useState(0.1);
  const base = `/api/runs/${encodeURIComponent(name)}`;
  const at = `image=${image}&epsilon=${epsilon}`;
  const strip = useAnswer<ImagesAnswer>(`${base}/images?from=${STRIP * Math.floor(image / STRIP)}`);
  const fast = useAnswer<LookAnswer>(`${base}/look?${at}&relaxations=ibp,crown-ibp`);
  const settled = useSettled(at, 250);
  const slow = useAnswer<LookAnswer>(settled && `${base}/look?${settled}&relaxations=crown`);
  const attack = useAnswer<AttackAnswer>(settled && `${base}/attack?${settled}`);
  const [last, setLast] = useState<LookAnswer>();
  useEffect(() => {
    if (fast.answer) setLast(fast.answer);
  }, [fast.answer]);
  const count = strip.answer?.count ?? image + 1;
  const show = (next: number) => setImage(Math.min(count - 1, Math.max(0, next)));
  const slide = (by: number) => setEpsilon((old) => toEpsilon(Math.min(1, Math.max(0, toSlider(old) + by))));
  useKeys({
    Escape: () => go('run', name),
    n: () => show(image + 1),
    p: () => show(image - 1),
    ArrowRight: () => slide(0.02),
    ArrowLeft: () => slide(-0.02),
    1: () => setEpsilon(1 / 255),
    2: () => setEpsilon(2 / 255),
    3: () => setEpsilon(0.1),
    4: () => setEpsilon(0.3),
  });
  const problem = fast.problem ?? strip.problem;
  if (problem) return <Refused title={name}>{problem}</Refused>;
  const answer = fast.answer ?? (last?.image === image ? last : undefined);
  const rows = [
    ...(answer?.relaxations ?? []),
    ...(fast.answer && settled === at ? (slow.answer?.relaxations ?? []) : []),
  ];
  const found = settled === at ? attack.answer : undefined;
  const waiting = !fast.answer || settled !== at || slow.waiting || attack.waiting;
  return (
    <>
      <h1>
        Inside an image <small>{name}</small>
      </h1>
      <div class="strip" role="listbox" aria-label="test images">
        {strip.answer?.thumbnails.map((one) => (
          <button
            type="button"
            role="option"
            key={one.image}
            aria-selected={one.image === image}
            onClick={() => setImage(one.image)}
            title={`image ${one.image}, label ${one.label}`}
          >
            <img src={one.picture} alt={`number ${one.image}, label ${one.label}`} />
          </button>
        ))}
      </div>
      <div class="controls">
        <label>
          image{' '}
          <input
            type="number"
            min="0"
            max={count - 1}
            value={image}
            onChange={(event) => show(Math.floor(Number(event.currentTarget.value)) || 0)}
          />
        </label>
        <label class="slider">
          ε = <output>{short(epsilon)}</output>
          <input
            type="range"
            min="0"
            max="1"
            step="0.005"
            value={toSlider(epsilon)}
            aria-label="ε"
            onInput={(event) => setEpsilon(toEpsilon(Number(event.currentTarget.value)))}
          />
        </label>
        {MARKS.map(([text, value]) => (
          <button type="button" key={text} aria-pressed={epsilon === value} onClick={() => setEpsilon(value)}>
            {text}
          </button>
        ))}
      </div>
      {answer === undefined ? (
        <Card>Opening the network …</Card>
      ) : (
        <>
          <Verdict rows={rows} attack={found} margin={answer.margin} waiting={waiting} />
          <Radii url={fast.answer || last ? `${base}/radii?image=${image}` : undefined} />
          <div class="pictures">
            <Picture src={answer.pictures.image} title={`image ${answer.image}, label ${answer.label}`} />
            <Picture src={answer.pictures.lower} title="darkest of the box" />
            <Picture src={answer.pictures.upper} title="brightest of the box" />
            <Picture
              src={found?.picture}
              title={found?.found ? 'counterexample' : waiting ? 'attacking …' : 'no counterexample'}
            />
            <Picture src={found?.difference} title="its change, amplified" />
          </div>
          <Margins answer={answer} rows={rows} />
          <Layers answer={answer} />
          <p class="quiet">IBP and CROWN-IBP in {Math.round(answer.milliseconds)} ms</p>
        </>
      )}
      <Keys
        keys={[
          ['← →', 'ε'],
          ['1 – 4', 'marks'],
          ['n p', 'next, previous image'],
          ['Esc', 'run'],
        ]}
      />
    </>
  );
}
