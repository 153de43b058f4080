import { connect } from 'node:net';
import { expect, test, vi } from 'vitest';
import { absence, startPostgres } from '../../testing/queue-servers.js';
import { queueAddress } from './address.js';
import { openEngine } from './engine.js';
import { withEngine } from './reconnect.js';

/** Whether somebody listens at a URL's port. */
const isThere = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

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

test.skipIf(absence.postgres)(
  'work on a server that is lost while it connects begins anew once it is back, told in one line',
  async () => {
    const server = await startPostgres();
    const lines: string[] = [];
    let back: Promise<void> | undefined;
    let begun = 0;
    const onTrouble = (line: string) => void lines.push(line);
    const work = withEngine(queueAddress(server.url), { onTrouble }, async (engine) => {
      begun++;
      back ??= server.restart(2000);
      if (begun === 1) await vi.waitFor(async () => expect(await isThere(server.url)).toBe(false));
      const queue = engine.queue('work');
      await engine.ready();
      return queue.getWorkersCount();
    });
    expect(await work).toBe(0);
    expect(begun).toBeGreaterThan(1);
    expect(lines).toEqual([expect.stringMatching(/^postgres:.*; trying again$/)]);
    await back;
    await server.stop();
  },
);

test('a server that was never there is a failure at once', async () => {
  const address = queueAddress('redis://127.0.0.1:1');
  await expect(withEngine(address, {}, async () => 1)).rejects.toThrow(
    /^--queue: expected a server at redis:/,
  );
});
