/** Runs: filtered by the settings that differ, their accuracies on one scale, a spark line each. */
import { computed, signal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { RunCard, RunList } from '../../src/insight/dashboard/answers.js';
import { useKeys } from './keys.js';
import { Card, Keys, percent, Scale, Spark } from './parts.js';
import { go, hashOf } from './route.js';
import { revisionOf, useAnswer } from './server.js';

const words = signal('');
const filters = signal<Readonly<Record<string, string>>>({});
const chosen = signal<ReadonlySet<string>>(new Set());
const focus = signal(0);
/** Rows that are drawn at first; more on request. */
const ROWS = 100;
const shown = signal(ROWS);
/** Values of a setting above which it is searched for by words only. */
const MOST_VALUES = 12;

const list = signal<RunList | undefined>(undefined);
const matching = computed<readonly RunCard[]>(() => {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const set = Object.entries(filters.value).filter(([, value]) => value !== '*');
  return (list.value?.runs ?? []).filter((run) => {
    const text = [
      run.name,
      run.state,
      ...Object.entries(run.settings).map(([name, value]) => `${name}=${value}`),
    ]
      .join(' ')
      .toLowerCase();
    return (
      wanted.every((word) => text.includes(word)) &&
      set.every(([name, value]) => run.settings[name] === value)
    );
  });
});

function toggle(name: string): void {
  const next = new Set(chosen.value);
  if (!next.delete(name)) next.add(name);
  chosen.value = next;
}

function Filters({ differing, runs }: RunList) {
  return (
    <div class="filters">
      {differing.map((name) => {
        const values = [
          ...new Set(runs.filter(({ state }) => state !== 'broken').map((run) => run.settings[name] ?? '')),
        ];
        if (values.length > MOST_VALUES || values.length < 2) return null;
        return (
          <label key={name}>
            {name}
            <select
              value={filters.value[name] ?? '*'}
              onChange={(event) => {
                filters.value = { ...filters.value, [name]: event.currentTarget.value };
              }}
            >
              <option value="*">any</option>
              {values.sort().map((value) => (
                <option key={value} value={value}>
                  {value || '–'}
                </option>
              ))}
            </select>
          </label>
        );
      })}
    </div>
  );
}

function Row({ run, index }: { run: RunCard; index: number }) {
  const { name, state, accuracies, epoch, epochs, problem } = run;
  const settings = Object.entries(run.settings).filter(([, value]) => value !== '');
  return (
    <li class={`run ${state}`} data-run={name} aria-current={focus.value === index}>
      <input
        type="checkbox"
        aria-label={`compare ${name}`}
        checked={chosen.value.has(name)}
        onChange={() => toggle(name)}
      />
      <div class="name">
        <a href={hashOf('run', name)}>{name}</a>
        <span class="state">{state === 'running' ? `epoch ${Math.floor(epoch)} of ${epochs}` : state}</span>
      </div>
      <div class="differs">
        {problem ??
          settings.map(([key, value]) => (
            <span key={key}>
              <i>{key}</i> {value}
            </span>
          ))}
      </div>
      <Spark values={run.losses} />
      <div class="accuracies">
        <Scale accuracies={accuracies} />
        <span class="numbers">
          {percent(accuracies.natural)} <b>{percent(accuracies.certified)}</b>
        </span>
      </div>
    </li>
  );
}

export function Runs() {
  const { answer, problem } = useAnswer<RunList>('/api/runs', revisionOf('').value);
  const search = useRef<HTMLInputElement>(null);
  if (answer !== undefined && list.peek() !== answer) list.value = answer;
  const runs = matching.value;
  const compare = () => chosen.value.size > 1 && go('compare', ...chosen.value);
  const move = (by: number) => {
    focus.value = Math.min(
      Math.max(0, focus.value + by),
      Math.max(0, Math.min(runs.length, shown.value) - 1),
    );
    document.querySelector(`[data-index="${focus.value}"]`)?.scrollIntoView({ block: 'nearest' });
  };
  const here = () => runs[focus.value]?.name;
  const open = (screen: 'run' | 'look') => {
    const name = here();
    if (name !== undefined) go(screen, name);
  };
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    Enter: () => open('run'),
    l: () => open('look'),
    c: compare,
    x: () => {
      const name = here();
      if (name !== undefined) toggle(name);
    },
    '/': () => search.current?.focus(),
    Escape: () => search.current?.blur(),
  });
  if (problem) return <Card bad>{problem}</Card>;
  if (list.value === undefined) return <Card>Reading the runs …</Card>;
  const { folder, reading } = list.value;
  if (list.value.runs.length === 0)
    return (
      <Card>
        No run in {folder} yet; start one with <code>tautnet train --out {folder}/first</code> and it appears
        here.
      </Card>
    );
  return (
    <>
      <div class="bar-top">
        <h1>
          Runs{' '}
          <small>
            {runs.length} of {list.value.runs.length}
          </small>
        </h1>
        <input
          ref={search}
          type="search"
          placeholder="filter: ibp seed=1 finished"
          aria-label="filter runs"
          value={words.value}
          onInput={(event) => {
            words.value = event.currentTarget.value;
            focus.value = 0;
          }}
        />
        <button type="button" class="main" disabled={chosen.value.size < 2} onClick={compare}>
          compare {chosen.value.size || ''}
        </button>
      </div>
      <Filters {...list.value} />
      {reading > 0 && <Card>{reading} runs are still being read.</Card>}
      <p class="legend-line">
        <span class="natural">natural</span> <span class="adversarial">adversarial</span>{' '}
        <span class="certified">certified</span> accuracy, 0 to 100 %; beside it the loss
      </p>
      <ul class="runs">
        {runs.slice(0, shown.value).map((run, i) => (
          <Row key={run.name} run={run} index={i} />
        ))}
      </ul>
      {runs.length > shown.value && (
        <button
          type="button"
          onClick={() => {
            shown.value += ROWS;
          }}
        >
          {ROWS} more
        </button>
      )}
      <Keys
        keys={[
          ['↑ ↓', 'choose'],
          ['Enter', 'open'],
          ['l', 'look inside'],
          ['x', 'mark'],
          ['c', 'compare marked'],
          ['/', 'filter'],
        ]}
      />
    </>
  );
}
