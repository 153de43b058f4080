/** The landscape of a run: the loss of each relaxation along a line, from raw to smoothed. */
import { useState } from 'preact/hooks';
import {
  LANDSCAPE_DIRECTIONS,
  LANDSCAPE_RELAXATIONS,
  type LandscapeProgress,
} from '../../src/insight/dashboard/answers.js';
import type { Landscape as Found } from '../../src/insight/landscape/landscape.js';
import { morphedFigure, sigmasOf } from '../../src/insight/landscape/landscape-figure.js';
import { MEASURES, measureCells } from '../../src/insight/landscape/measure-cells.js';
import { FigureView } from './figure.js';
import { useKeys } from './keys.js';
import { Card, Keys, Refused, Scrolled, useSettled } from './parts.js';
import { go } from './route.js';
import { useEvents } from './server.js';

type Direction = (typeof LANDSCAPE_DIRECTIONS)[number];

/** Measures of every curve at one σ. */
function Measures({ found, sigma }: { found: Found; sigma: number }) {
  return (
    <Scrolled label="measures">
      <table class="measures">
        <caption>
          Measures at {sigma === 0 ? 'the loss itself, σ = 0' : `σ = ${sigma}`}: less is better, but for the
          loss
        </caption>
        <thead>
          <tr>
            <th>network</th>
            <th>relaxation</th>
            {MEASURES.map((name) => (
              <th key={name}>{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {found.subjects.flatMap(({ name, line }) =>
            line.curves
              .filter((curve) => curve.sigma === sigma)
              .map((curve) => (
                <tr key={`${name} ${curve.relaxation}`}>
                  <th>{name}</th>
                  <td>{curve.relaxation}</td>
                  {measureCells(curve).map((cell, i) => (
                    <td key={MEASURES[i]}>{cell}</td>
                  ))}
                </tr>
              )),
          )}
        </tbody>
      </table>
    </Scrolled>
  );
}

interface SigmaProps {
  readonly sigmas: readonly number[];
  /** 0 for the first σ, 1 for the second; between them curves are between. */
  readonly position: number;
  readonly set: (position: number) => void;
}

/** A slider that rests at σ that were computed. */
function SigmaSlider({ sigmas, position, set }: SigmaProps) {
  const sigma = sigmas[Math.round(position)] as number;
  return (
    <div class="controls">
      <label class="slider">
        σ = <output>{sigma}</output>
        <input
          type="range"
          min="0"
          max={sigmas.length - 1}
          step="0.02"
          value={position}
          aria-label="σ"
          aria-valuetext={`σ = ${sigma}`}
          onInput={(event) => set(Number(event.currentTarget.value))}
          onChange={(event) => set(Math.round(Number(event.currentTarget.value)))}
        />
      </label>
    </div>
  );
}

function Shown({ found, detrended }: { found: Found; detrended: boolean }) {
  const [position, setPosition] = useState(0);
  const sigmas = sigmasOf(found);
  const most = sigmas.length - 1;
  const move = (by: number) => setPosition((old) => Math.min(most, Math.max(0, Math.round(old) + by)));
  useKeys({ ArrowRight: () => move(1), ArrowLeft: () => move(-1) });
  return (
    <>
      <SigmaSlider sigmas={sigmas} position={position} set={setPosition} />
      <FigureView figure={morphedFigure(found, position, detrended)} />
      <Measures found={found} sigma={sigmas[Math.round(position)] as number} />
    </>
  );
}

export function Landscape({ name }: { name: string }) {
  const [direction, setDirection] = useState<Direction>('random');
  const [chosen, setChosen] = useState<readonly string[]>(LANDSCAPE_RELAXATIONS.slice(0, 3));
  const [detrended, setDetrended] = useState(true);
  const toggle = (one: string) =>
    setChosen((old) => {
      const next = LANDSCAPE_RELAXATIONS.filter((each) => old.includes(each) !== (each === one));
      return next.length > 0 ? next : old;
    });
  const query = `direction=${direction}&relaxations=${chosen.join()}`;
  // Whoever marks several waits for none of those between.
  const settled = useSettled(query, 400);
  const { told, problem, waiting } = useEvents(
    settled && `/api/runs/${encodeURIComponent(name)}/landscape?${settled}`,
  );
  useKeys({
    Escape: () => go('run', name),
    r: () => setDirection('random'),
    g: () => setDirection('gradient'),
    d: () => setDetrended((old) => !old),
    ...Object.fromEntries(LANDSCAPE_RELAXATIONS.map((each, i) => [String(i + 1), () => toggle(each)])),
  });
  const found = told.findLast(({ event }) => event === 'landscape')?.value as Found | undefined;
  const progress = told.findLast(({ event }) => event === 'progress')?.value as LandscapeProgress | undefined;
  if (problem && told.length === 0) return <Refused title={name}>{problem}</Refused>;
  return (
    <>
      <h1>
        Landscape <small>{name}</small>
      </h1>
      <fieldset class="controls" aria-label="what is computed">
        {LANDSCAPE_DIRECTIONS.map((each) => (
          <button
            type="button"
            key={each}
            aria-pressed={direction === each}
            onClick={() => setDirection(each)}
          >
            {each} direction
          </button>
        ))}
        {LANDSCAPE_RELAXATIONS.map((each) => (
          <label class="check" key={each}>
            <input type="checkbox" checked={chosen.includes(each)} onChange={() => toggle(each)} /> {each}
          </label>
        ))}
        <label class="check">
          <input type="checkbox" checked={detrended} onChange={() => setDetrended((old) => !old)} /> without
          the straight part
        </label>
      </fieldset>
      {problem && <Card bad>{problem}</Card>}
      {!problem && waiting && !found && (
        <Card>
          <progress value={progress?.done ?? 0} max={progress?.total ?? 1} aria-label="curves" />{' '}
          {progress ? `${progress.done} of ${progress.total} curves` : 'Opening the network …'}; computed
          once, then kept
        </Card>
      )}
      {found && <Shown key={settled} found={found} detrended={detrended} />}
      <Keys
        keys={[
          ['← →', 'σ'],
          ['r g', 'direction'],
          [`1 – ${LANDSCAPE_RELAXATIONS.length}`, 'relaxations'],
          ['d', 'straight part'],
          ['Esc', 'run'],
        ]}
      />
    </>
  );
}
