/** One run, live. */
import type { RunDetail } from '../../src/insight/dashboard/answers.js';
import { FigureView } from './figure.js';
import { useKeys } from './keys.js';
import { ACCURACIES, Card, Command, Keys, percent, Refused, Scale } from './parts.js';
import { go, hashOf } from './route.js';
import { revisionOf, useAnswer } from './server.js';

export function Run({ name }: { name: string }) {
  const { answer, problem } = useAnswer<RunDetail>(
    `/api/runs/${encodeURIComponent(name)}`,
    revisionOf(name).value,
  );
  useKeys({
    Escape: () => go('runs'),
    l: () => go('look', name),
    s: () => go('landscape', name),
    y: () => document.querySelector<HTMLButtonElement>('.command button')?.click(),
  });
  if (problem) return <Refused title={name}>{problem}</Refused>;
  if (answer === undefined) return <Card>Reading {name} …</Card>;
  const { accuracies, images, state, epoch, epochs } = answer;
  return (
    <>
      <h1>
        {name} <small class={`state ${state}`}>{state}</small>
      </h1>
      <p class="quiet">
        {answer.title}: {answer.subtitle}
      </p>
      {state !== 'finished' && (
        <div class="progress">
          <progress value={epoch} max={epochs} aria-label="epochs" /> epoch{' '}
          <b data-epoch>{Math.floor(epoch)}</b> of {epochs}
        </div>
      )}
      <div class="tiles">
        {ACCURACIES.map(([key]) => (
          <div class={`tile ${key}`} key={key}>
            <b>{percent(accuracies[key])}</b>
            <span>
              {key}
              {images > 0 ? ` of ${images}` : ''}
            </span>
          </div>
        ))}
        <Scale accuracies={accuracies} />
      </div>
      {answer.notes.map((note) => (
        <p class="quiet" key={note}>
          {note}
        </p>
      ))}
      {state === 'finished' && (
        <p>
          <a class="main" href={hashOf('look', name)}>
            Look inside an image
          </a>{' '}
          <a class="main" href={hashOf('landscape', name)}>
            Landscape
          </a>
        </p>
      )}
      {answer.commands.map((command) => (
        <Command key={command} text={command} />
      ))}
      {answer.figures.map((figure) => (
        <FigureView key={figure.title} figure={figure} />
      ))}
      <details>
        <summary>All settings</summary>
        <table>
          <tbody>
            {answer.settings.map(([key, value]) => (
              <tr key={key}>
                <th>{key}</th>
                <td>{value}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
      <Keys
        keys={[
          ['Esc', 'runs'],
          ['l', 'look inside'],
          ['s', 'landscape'],
          ['y', 'copy the command'],
        ]}
      />
    </>
  );
}
