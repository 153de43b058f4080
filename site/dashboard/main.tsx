/** The dashboard's page. */
import { render } from 'preact';
import { Compare } from './compare.js';
import { Landscape } from './landscape.js';
import { Look } from './look.js';
import { hashOf, route } from './route.js';
import { Run } from './run.js';
import { Runs } from './runs.js';
import { connected, listen } from './server.js';

function Shown() {
  const { screen, names } = route.value;
  const [name = ''] = names;
  if (screen === 'run') return <Run key={name} name={name} />;
  if (screen === 'look') return <Look key={name} name={name} />;
  if (screen === 'landscape') return <Landscape key={name} name={name} />;
  if (screen === 'compare') return <Compare names={names} />;
  return <Runs />;
}

const App = () => (
  <>
    <header>
      <a href={hashOf('runs')} class="brand">
        tautnet
      </a>
      <span class={connected.value ? 'live on' : 'live'} role="status">
        {connected.value ? 'live' : 'not connected'}
      </span>
    </header>
    <main>
      <Shown />
    </main>
  </>
);

listen();
render(<App />, document.getElementById('app') as HTMLElement);
