/** Training within the page: a small network, its curve while it learns. */
import { useRef, useState } from 'preact/hooks';
import type { EpochCourse } from '../../src/experiment/train-in-memory.js';
import type { Figure } from '../../src/insight/figure/figure.js';
import type { Told, TrainAnswer } from '../../src/insight/page/questions.js';
import { FigureView } from '../dashboard/figure.js';
import { Card } from '../dashboard/parts.js';
import type { Start } from './worker.js';
import { PageWorker } from './workers.js';

const EPOCHS = 15;
const EPSILON = 0.1;
const NAME = 'trained-here.onnx';

/** Accuracies and loss over epochs. */
function figureOf(courses: readonly EpochCourse[]): Figure {
  const x = courses.map(({ epoch }) => epoch);
  const line = (series: string, y: readonly number[]) => ({ kind: 'line', series, x, y }) as const;
  const epochs = { label: 'epoch', domain: [0, EPOCHS] } as const;
  return {
    title: 'Its course',
    columns: 2,
    panels: [
      {
        title: 'Accuracy on 500 other digits',
        x: epochs,
        y: { label: '%', percent: true, domain: [0, 1] },
        marks: [
          line(
            'natural',
            courses.map(({ natural }) => natural),
          ),
          line(
            `margins above 0 by IBP, ε = ${EPSILON}`,
            courses.map(({ certified }) => certified),
          ),
        ],
      },
      {
        title: 'Robust loss',
        x: epochs,
        y: { label: 'loss' },
        marks: [
          line(
            'loss',
            courses.map(({ loss }) => loss),
          ),
        ],
      },
    ],
  };
}

export interface TrainingProps {
  readonly start: Start;
  readonly open: (bytes: Uint8Array, name: string) => Promise<void>;
}

export function Training({ start, open }: TrainingProps) {
  const [courses, setCourses] = useState<readonly EpochCourse[]>([]);
  const [problem, setProblem] = useState<string>();
  const [trained, setTrained] = useState<string>();
  const worker = useRef<PageWorker | undefined>(undefined);
  const [running, setRunning] = useState(false);
  const stop = () => {
    worker.current?.close();
    worker.current = undefined;
    setRunning(false);
  };
  const train = async () => {
    const own = new PageWorker(start);
    worker.current = own;
    setRunning(true);
    setCourses([]);
    setTrained(undefined);
    setProblem(undefined);
    try {
      const question = { kind: 'train', epsilon: EPSILON, epochs: EPOCHS } as const;
      const tell = (told: Told) => setCourses((before) => [...before, told as EpochCourse]);
      const { bytes } = await own.ask<TrainAnswer>(question, { tell });
      setTrained(URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>])));
      await open(bytes, NAME);
    } catch (error) {
      setProblem((error as Error).message);
    }
    stop();
  };
  const last = courses.at(-1);
  return (
    <section class="card training">
      <h2>Train one here</h2>
      <p>
        A small network on 2,000 digits, in a worker of this page, by interval bounds with randomised gradient
        smoothing: each step averages gradients at two perturbed copies of its parameters.
      </p>
      <p class="controls">
        <button type="button" class="main" onClick={train} disabled={running}>
          {running ? 'Training …' : 'Train'}
        </button>
        {running && (
          <button type="button" onClick={stop}>
            Stop
          </button>
        )}
        <progress value={last?.epoch ?? 0} max={EPOCHS} aria-label="epochs" />
        <span role="status">{last && `epoch ${last.epoch} of ${EPOCHS}`}</span>
        {trained && (
          <a href={trained} download={NAME}>
            save {NAME}
          </a>
        )}
      </p>
      {problem && <Card bad>{problem}</Card>}
      {courses.length > 0 && <FigureView figure={figureOf(courses)} />}
    </section>
  );
}
