/** Look inside an image of a run: its ball, what each relaxation proves of it, and what breaks it. */
import { useState } from 'preact/hooks';
import type { ExactAnswer, ImagesAnswer, RadiusAnswer } from '../../src/insight/dashboard/answers.js';
import { Inside, type InsideQuestion, Strip, useInside } from './inside.js';
import { useKeys } from './keys.js';
import { EpsilonSlider, MARKS, slid } from './look-parts.js';
import { Keys, Refused, useSettled } from './parts.js';
import { go } from './route.js';
import { ask, useAnswer, useEvents } from './server.js';

const STRIP = 24;

/** The address of a question about an image. */
function addressOf(base: string, image: number, question: InsideQuestion): string {
  const at = `image=${image}&epsilon=${question.epsilon}`;
  if (question.kind === 'attack') return `${base}/attack?${at}`;
  return `${base}/look?${at}&relaxations=${question.relaxations.join()}`;
}

export function Look({ name }: { name: string }) {
  const [image, setImage] = useState(0);
  const [epsilon, setEpsilon] = useState(0.1);
  const base = `/api/runs/${encodeURIComponent(name)}`;
  const strip = useAnswer<ImagesAnswer>(`${base}/images?from=${STRIP * Math.floor(image / STRIP)}`);
  const source = {
    name: `${base} ${image}`,
    ask: (question: InsideQuestion, signal: AbortSignal) => ask(addressOf(base, image, question), signal),
  };
  const inside = useInside(source, epsilon);
  const shown = useSettled(image, 250);
  const radii = useEvents(shown === undefined ? undefined : `${base}/radii?image=${shown}`);
  const count = strip.answer?.count ?? image + 1;
  const show = (next: number) => setImage(Math.min(count - 1, Math.max(0, next)));
  useKeys({
    Escape: () => go('run', name),
    n: () => show(image + 1),
    p: () => show(image - 1),
    ArrowRight: () => setEpsilon((old) => slid(old, 0.02)),
    ArrowLeft: () => setEpsilon((old) => slid(old, -0.02)),
    ...Object.fromEntries(MARKS.map(([, value], i) => [i + 1, () => setEpsilon(value)])),
  });
  const problem = strip.problem ?? inside.problem;
  if (problem) return <Refused title={name}>{problem}</Refused>;
  return (
    <>
      <h1>
        Inside an image <small>{name}</small>
      </h1>
      <Strip images={strip.answer?.thumbnails ?? []} chosen={image} choose={setImage} />
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
      <Inside
        inside={inside}
        radii={radii.told.flatMap(({ event, value }) => (event === 'radius' ? [value as RadiusAnswer] : []))}
        exact={radii.told.findLast(({ event }) => event === 'exact')?.value as ExactAnswer | undefined}
        problem={radii.problem}
        title={(answer) => `image ${answer.image}, label ${answer.label}`}
      />
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
