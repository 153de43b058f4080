import { expect, test } from 'vitest';
import { absence, startPostgres } from '../../testing/queue-servers.js';
import { queueAddress } from './address.js';
import { openEngine } from './engine.js';

test.skipIf(absence.postgres)(
  'a server that is lost while it is connected to is a failure at once',
  async () => {
    const server = await startPostgres();
    const engine = await openEngine(queueAddress(server.url));
    await server.stop();
    engine.queue('work');
    await expect(engine.ready()).rejects.toThrow(
      /^--queue: postgres:.* was lost while connecting \(.*\); start again$/,
    );
    await engine.close();
  },
);
