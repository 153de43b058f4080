/** The static page: draw a digit, watch a proof; everything is computed in the browser. */
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ImagesAnswer, LookAnswer, Thumbnail } from '../../src/insight/dashboard/answers.js';
import type { CertifyAnswer, Digit, NetworkAnswer, RadiiAnswer } from '../../src/insight/page/questions.js';
import { type Asked, useAsked } from '../dashboard/asked.js';
import { Inside, type Source, Strip, useInside } from '../dashboard/inside.js';
import { useKeys } from '../dashboard/keys.js';
import { EpsilonSlider, MARKS, slid } from '../dashboard/look-parts.js';
import { Card, Keys, useSettled } from '../dashboard/parts.js';
import { NetworkCard } from './network.js';
import { Pad } from './pad.js';
import { SlowWorker } from './slow-worker.js';
import { Training } from './training.js';
import type { Start } from './worker.js';
import { fileOf, load, PageWorker, RadiusSearch } from './workers.js';

const STRIP = 24;

/** Workers: one answers at once, another takes what is slow, a third searches radii. */
interface Engine {
  readonly start: Start;
  readonly fast: PageWorker;
  readonly slow: SlowWorker;
  readonly search: RadiusSearch;
}

async function begin(): Promise<Engine> {
  const start = await load();
  const search = new RadiusSearch(start);
  return { start, fast: new PageWorker(start), slow: new SlowWorker(start), search };
}

/** A network that both workers have opened; each opening has a number of its own. */
interface Opened {
  readonly number: number;
  readonly network: NetworkAnswer;
}

/** The digit that is looked at, and a name that no other has. */
interface Chosen {
  readonly digit: Digit;
  readonly name: string;
}

const tested = (image: number): Chosen => ({ digit: { image }, name: `test ${image}` });

/** The engine, and the network that it has open. */
function useEngine() {
  const [engine, setEngine] = useState<Engine>();
  const [opened, setOpened] = useState<Opened>();
  const [images, setImages] = useState<readonly Thumbnail[]>([]);
  const [problem, setProblem] = useState<string>();
  const [failed, setFailed] = useState<string>();
  const [graphics, setGraphics] = useState(false);
  const numbers = useRef(0);
  const openWith = async ({ fast, slow, search }: Engine, bytes: Uint8Array, name: string) => {
    setProblem(undefined);
    try {
      const question = { kind: 'open', bytes, name } as const;
      const network = await fast.ask<NetworkAnswer>(question);
      setOpened(undefined);
      search.open(question);
      await slow.open(question);
      setOpened({ number: ++numbers.current, network });
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  useEffect(() => {
    const started = async () => {
      const [made, file] = await Promise.all([begin(), fileOf('network.onnx')]);
      await openWith(made, new Uint8Array(await file.arrayBuffer()), 'network.onnx');
      const first = await made.fast.ask<ImagesAnswer>({ kind: 'images', from: 0, count: STRIP });
      setImages(first.thumbnails);
      setEngine(made);
      // What the page shows does not wait for the graphics processor, nor fail with it.
      const taken = made.slow.takeGraphics(() => setGraphics(false));
      setGraphics(await taken.catch(() => false));
    };
    started().catch((error: Error) => setFailed(error.message));
  }, []);
  const open = async (bytes: Uint8Array, name: string) => {
    if (engine) await openWith(engine, bytes, name);
  };
  return { engine, opened, images, problem, failed, graphics, open, refuse: setProblem };
}

/** Keeps the page for visits without a network, where the browser can. */
function useOffline(): boolean {
  const [kept, setKept] = useState(false);
  useEffect(() => {
    if (!('serviceWorker' in navigator)) return;
    navigator.serviceWorker.register('service-worker.js').catch(() => undefined);
    void navigator.serviceWorker.ready.then(() => setKept(true));
  }, []);
  return kept;
}

const titleOf =
  ({ digit }: Chosen) =>
  ({ label }: LookAnswer): string =>
    'image' in digit ? `test image ${digit.image}, label ${label}` : `drawn, read as ${label}`;

function sourceOf(engine: Engine, { number }: Opened, { digit, name }: Chosen): Source {
  return {
    name: `${number} ${name}`,
    ask: (question, signal) => {
      const isFast = question.kind === 'look' && !question.relaxations.includes('crown');
      return (isFast ? engine.fast : engine.slow).ask({ ...question, digit }, { signal });
    },
  };
}

/** Radii of a digit that is looked at for a moment, as they become known. */
function useRadii(engine: Engine | undefined, name: string | undefined, digit: Digit): Asked<RadiiAnswer> {
  const settled = useSettled(name, 250);
  const [told, setTold] = useState<{ readonly name: string; readonly known: RadiiAnswer }>();
  const asked = useAsked<RadiiAnswer>(settled, (signal) =>
    (engine as Engine).search.of(digit, signal, (known) => setTold({ name: settled as string, known })),
  );
  const known = told?.name === settled ? told?.known : undefined;
  return { ...asked, answer: asked.answer ?? known };
}

function App() {
  const { engine, opened, images, problem, failed, graphics, open, refuse } = useEngine();
  const kept = useOffline();
  const [chosen, setChosen] = useState<Chosen>(tested(0));
  const [epsilon, setEpsilon] = useState(0.1);
  const drawn = useRef(0);
  const source = engine && opened && sourceOf(engine, opened, chosen);
  const inside = useInside(source, epsilon);
  const radii = useRadii(engine, inside.answer && source?.name, chosen.digit);
  const image = 'image' in chosen.digit ? chosen.digit.image : undefined;
  const show = (by: number) => {
    if (images.length === 0) return;
    const next = image === undefined ? 0 : Math.min(images.length - 1, Math.max(0, image + by));
    setChosen(tested(next));
  };
  useKeys({
    n: () => show(1),
    p: () => show(-1),
    ArrowRight: () => setEpsilon((old) => slid(old, 0.02)),
    ArrowLeft: () => setEpsilon((old) => slid(old, -0.02)),
    ...Object.fromEntries(MARKS.map(([, value], i) => [i + 1, () => setEpsilon(value)])),
  });
  const openFile = async (file: File) => open(new Uint8Array(await file.arrayBuffer()), file.name);
  const trouble = failed ?? inside.problem;
  return (
    <>
      <header>
        <span class="brand">tautnet</span>
        <span class={kept ? 'live on' : 'live'} role="status">
          {kept ? 'works offline' : 'computed in this page'}
        </span>
        {graphics && (
          <span class="live on" title="CROWN, attacks and certification run on the graphics processor">
            WebGPU
          </span>
        )}
      </header>
      <main class="page">
        <h1>Draw a digit, watch a proof</h1>
        <p class="lead">
          A proof covers every image within ε of the digit, each pixel changed by at most ε of white: the
          network reads all of them alike. Nothing leaves this page.
        </p>
        <div class="bench">
          <div class="side">
            <Pad draw={(pixels) => setChosen({ digit: { pixels }, name: `drawn ${++drawn.current}` })} />
            <Strip images={images} chosen={image} choose={(next) => setChosen(tested(next))} />
          </div>
          <div class="seen">
            <div class="controls">
              <EpsilonSlider epsilon={epsilon} set={setEpsilon} />
            </div>
            {trouble ? (
              <Card bad>{trouble}</Card>
            ) : (
              <Inside
                inside={inside}
                radii={radii.answer?.radii ?? []}
                exact={radii.answer?.exact}
                problem={radii.problem}
                title={titleOf(chosen)}
              />
            )}
          </div>
          {engine && (
            <NetworkCard
              network={opened?.network}
              problem={problem}
              open={openFile}
              refuse={refuse}
              epsilon={epsilon}
              certify={() => engine.slow.ask<CertifyAnswer>({ kind: 'certify', epsilon })}
            />
          )}
        </div>
        {engine && <Training start={engine.start} open={open} />}
        <Keys
          keys={[
            ['← →', 'ε'],
            ['1 – 4', 'marks'],
            ['n p', 'next, previous test image'],
          ]}
        />
      </main>
    </>
  );
}

render(<App />, document.getElementById('app') as HTMLElement);
