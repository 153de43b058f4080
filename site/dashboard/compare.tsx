/** Runs side by side: the settings that differ first, then the Pareto front. */
import type { CompareAnswer } from '../../src/insight/dashboard/answers.js';
import { FigureView } from './figure.js';
import { useKeys } from './keys.js';
import { Card, Keys, percent, Refused, Scrolled } from './parts.js';
import { go, hashOf } from './route.js';
import { revisionOf, useAnswer } from './server.js';

export function Compare({ names }: { names: readonly string[] }) {
  const query = names.map((name) => `run=${encodeURIComponent(name)}`).join('&');
  const revision = names.reduce((sum, name) => sum + revisionOf(name).value, 0);
  const { answer, problem } = useAnswer<CompareAnswer>(`/api/compare?${query}`, revision);
  useKeys({ Escape: () => go('runs') });
  if (problem) return <Refused title="Compare">{problem}</Refused>;
  if (answer === undefined) return <Card>Reading {names.length} runs …</Card>;
  const { differing, runs, figure } = answer;
  return (
    <>
      <h1>
        Compare <small>{runs.length} runs</small>
      </h1>
      <Scrolled label="runs and their settings">
        <table class="compare">
          <thead>
            <tr>
              <th>run</th>
              {differing.map((name) => (
                <th key={name}>{name}</th>
              ))}
              <th>natural</th>
              <th>adversarial</th>
              <th>certified</th>
              <th>training</th>
            </tr>
          </thead>
          <tbody>
            {runs.map((run) => (
              <tr key={run.run} class={run.onFront ? 'front' : ''}>
                <th>
                  <a href={hashOf('run', run.run)}>{run.run}</a>
                  {run.onFront && <span title="no other run is as good in both and better in one"> ★</span>}
                </th>
                {differing.map((name) => (
                  <td key={name}>{run.settings[name] || '–'}</td>
                ))}
                <td>{percent(run.natural)}</td>
                <td>{percent(run.adversarial)}</td>
                <td>{percent(run.certified)}</td>
                <td>{run.trainingSeconds === null ? '–' : `${Math.round(run.trainingSeconds)} s`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
      {differing.length === 0 && <p class="quiet">No setting differs.</p>}
      {figure ? (
        <FigureView figure={figure} />
      ) : (
        <Card>
          No verdicts yet: <code>tautnet certify</code> proves accuracies.
        </Card>
      )}
      <Keys keys={[['Esc', 'runs']]} />
    </>
  );
}
