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

/** A ball that is asked about, and its name. */
interface Ball {
  readonly name: string;
  readonly source: Source;
  readonly epsilon: number;
}

function useQuestion<Answer>(ball: Ball | undefined, question: (epsilon: number) => InsideQuestion) {
  const asked = ball && question(ball.epsilon);
  const name = asked && `${asked.kind} ${ball.name}`;
  return useAsked(name, (signal) => ball?.source.ask(asked as InsideQuestion, signal) as Promise<Answer>);
}

/**
 * The fast relaxations of a ball. One question is under way at a time, then the newest: while ε moves,
 * answers come as fast as they are computed, and none waits behind others.
 */
function useFast(ball: Ball | undefined): Asked<LookAnswer> & { readonly of: Ball | undefined } {
  const [turn, setTurn] = useState<Ball>();
  const fast = useQuestion<LookAnswer>(turn, (epsilon) => ({
    ...{ kind: 'look', epsilon },
    relaxations: ['ibp', 'crown-ibp'],
  }));
  useEffect(() => {
    if (ball && ball.name !== turn?.name && (turn === undefined || !fast.waiting)) setTurn(ball);
  });
  return { ...fast, of: turn };
}

/** Asks about an image: the fast relaxations at once, the others when ε rests. */
export function useInside(source: Source | undefined, epsilon: number): InsideAnswers {
  const ball = source && { name: `${source.name} ${epsilon}`, source, epsilon };
  const rests = useSettled(ball?.name, 250) === undefined ? undefined : ball;
  const fast = useFast(ball);
  const slow = useQuestion<LookAnswer>(rests, (at) => ({
    ...{ kind: 'look', epsilon: at },
    relaxations: ['crown'],
  }));
  const attack = useQuestion<AttackAnswer>(rests, (at) => ({ kind: 'attack', epsilon: at }));
  const [last, setLast] = useState<{ readonly name: string; readonly answer: LookAnswer }>();
  useEffect(() => {
    if (fast.of && fast.answer) setLast({ name: fast.of.source.name, answer: fast.answer });
  }, [fast.answer]);
  const known = fast.of?.source.name === source?.name ? fast.answer : undefined;
  const answer = known ?? (last?.name === source?.name ? last?.answer : undefined);
  const isCurrent = known !== undefined && fast.of?.name === ball?.name;
  return {
    answer,
    rows: [...(answer?.relaxations ?? []), ...(isCurrent ? (slow.answer?.relaxations ?? []) : [])],
    attack: attack.answer,
    waiting: !isCurrent || slow.waiting || attack.waiting,
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
