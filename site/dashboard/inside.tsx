/** Inside an image, wherever its answers come from: a server, or a worker of the page. */
import { useEffect, useState } from 'preact/hooks';
import type {
  AttackAnswer,
  ExactAnswer,
  LookAnswer,
  RadiusAnswer,
  RelaxationRow,
  Thumbnail,
} from '../../src/insight/dashboard/answers.js';
import type { BoundStage } from '../../src/verification/proof/batch-size.js';
import { type Asked, useAsked } from './asked.js';
import { Layers, Margins, Picture, Radii, Verdict } from './look-parts.js';
import { Card, useSettled } from './parts.js';

/** What is asked about one image's ball. */
export type InsideQuestion =
  | { readonly kind: 'look'; readonly epsilon: number; readonly relaxations: readonly BoundStage[] }
  | { readonly kind: 'attack'; readonly epsilon: number };

/** An image, and who answers questions about it. */
export interface Source {
  /** Names the image and its network. */
  readonly name: string;
  ask(question: InsideQuestion, signal: AbortSignal): Promise<unknown>;
}

/** Answers about one image's ball so far. */
export interface InsideAnswers {
  readonly answer: LookAnswer | undefined;
  /** Relaxations that have answered. */
  readonly rows: readonly RelaxationRow[];
  readonly attack: AttackAnswer | undefined;
  readonly waiting: boolean;
  readonly problem: string | undefined;
}

/** Asks about an image: the fast relaxations at once, the others when ε rests. */
export function useInside(source: Source | undefined, epsilon: number): InsideAnswers {
  const at = source && `${source.name} ${epsilon}`;
  const settled = useSettled(at, 250);
  function useQuestion<Answer>(name: string | undefined, question: InsideQuestion): Asked<Answer> {
    const named = name && `${question.kind} ${name}`;
    return useAsked(named, (signal) => (source as Source).ask(question, signal) as Promise<Answer>);
  }
  const fast = useQuestion<LookAnswer>(at, { kind: 'look', epsilon, relaxations: ['ibp', 'crown-ibp'] });
  const slow = useQuestion<LookAnswer>(settled, { kind: 'look', epsilon, relaxations: ['crown'] });
  const attack = useQuestion<AttackAnswer>(settled, { kind: 'attack', epsilon });
  const [last, setLast] = useState<{ readonly name: string; readonly answer: LookAnswer }>();
  useEffect(() => {
    if (source && fast.answer) setLast({ name: source.name, answer: fast.answer });
  }, [fast.answer]);
  const answer = fast.answer ?? (last?.name === source?.name ? last?.answer : undefined);
  return {
    answer,
    rows: [...(answer?.relaxations ?? []), ...(fast.answer ? (slow.answer?.relaxations ?? []) : [])],
    attack: attack.answer,
    waiting: !fast.answer || slow.waiting || attack.waiting,
    problem: fast.problem ?? slow.problem ?? attack.problem,
  };
}

export interface InsideProps {
  readonly inside: InsideAnswers;
  readonly radii: readonly RadiusAnswer[];
  readonly exact?: ExactAnswer | undefined;
  /** Why radii cannot be had. */
  readonly problem?: string | undefined;
  /** Text below the image itself. */
  readonly title: (answer: LookAnswer) => string;
}

/** An image's ball, what each relaxation says of it, and what breaks it. */
export function Inside({ inside, radii, exact, problem, title }: InsideProps) {
  const { answer, rows, attack, waiting } = inside;
  if (answer === undefined) return <Card>Opening the network …</Card>;
  return (
    <>
      <div aria-live="polite">
        <Verdict rows={rows} attack={attack} margin={answer.margin} waiting={waiting} />
      </div>
      <Radii radii={radii} exact={exact} />
      {problem && <Card bad>{problem}</Card>}
      <div class="pictures">
        <Picture src={answer.pictures.image} title={title(answer)} />
        <Picture src={answer.pictures.lower} title="darkest of the box" />
        <Picture src={answer.pictures.upper} title="brightest of the box" />
        <Picture
          src={attack?.picture}
          title={attack?.found ? 'counterexample' : waiting ? 'attacking …' : 'no counterexample'}
        />
        <Picture src={attack?.difference} title="its change, amplified" />
      </div>
      <Margins answer={answer} rows={rows} />
      <Layers answer={answer} />
      <p class="quiet">IBP and CROWN-IBP in {Math.round(answer.milliseconds)} ms</p>
    </>
  );
}

export interface StripProps {
  readonly images: readonly Thumbnail[];
  readonly chosen: number | undefined;
  readonly choose: (image: number) => void;
}

/** Test images to choose from. */
export const Strip = ({ images, chosen, choose }: StripProps) => (
  <div class="strip" role="listbox" aria-label="test images">
    {images.map(({ image, label, picture }) => (
      <button
        type="button"
        role="option"
        key={image}
        aria-selected={image === chosen}
        onClick={() => choose(image)}
        title={`image ${image}, label ${label}`}
      >
        <img src={picture} alt={`number ${image}, label ${label}`} />
      </button>
    ))}
  </div>
);
