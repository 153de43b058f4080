/** Look inside an image: its ball, what each relaxation proves of it, and what breaks it. */
import { useEffect, useState } from 'preact/hooks';
import type {
  AttackAnswer,
  ExactAnswer,
  ImagesAnswer,
  LookAnswer,
  RadiusAnswer,
} from '../../src/insight/dashboard/answers.js';
import { useKeys } from './keys.js';
import {
  EpsilonSlider,
  Layers,
  Margins,
  Picture,
  Radii,
  toEpsilon,
  toSlider,
  Verdict,
} from './look-parts.js';
import { Card, Keys, Refused, useSettled } from './parts.js';
import { go } from './route.js';
import { useAnswer, useEvents } from './server.js';

const STRIP = 24;

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
  const shown = useSettled(image, 250);
  const radii = useEvents(shown === undefined ? undefined : `${base}/radii?image=${shown}`);
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
        <EpsilonSlider epsilon={epsilon} set={setEpsilon} />
      </div>
      {answer === undefined ? (
        <Card>Opening the network …</Card>
      ) : (
        <>
          <Verdict rows={rows} attack={found} margin={answer.margin} waiting={waiting} />
          <Radii
            radii={radii.told.flatMap(({ event, value }) =>
              event === 'radius' ? [value as RadiusAnswer] : [],
            )}
            exact={radii.told.findLast(({ event }) => event === 'exact')?.value as ExactAnswer | undefined}
          />
          {radii.problem && <Card bad>{radii.problem}</Card>}
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
