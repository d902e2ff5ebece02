// How a broker stops: what waits for its clients goes out as far as they take
// it, nobody is told anything false, and it ends in time whatever they do.
import type { Logger } from '../../broker/index.js';
import { useBrokers } from '../support/brokers.js';
import { useRawClients, type RawClient } from '../support/raw-client.js';
import { onceFree } from '../support/scripted-broker.js';
import { brief, mail, open, PING, read, send, write } from '../support/v1-commands.js';

const start = useBrokers();
const clients = useRawClients();
const LEFT = 'stopping with messages that clients did not take';
/** Messages that the broker's socket holds for a client. */
const SOCKET_MESSAGES = 1000;

function listen(): { lines: string[]; log: Logger } {
  const lines: string[] = [];
  const note = (message: string): void => void lines.push(message);
  return { lines, log: { error: note, warn: note, info: note, debug: () => undefined } };
}

async function floodWithMail(sender: RawClient, address: string, count: number): Promise<void> {
  const content = [Buffer.alloc(10_000)];
  for (let n = 0; n < count; n++) await sender.send(mail(address, `n${n}`, { content }));
  await sender.barrier();
}

/** Resolves when a client has lost its connection: all that came by it is in its socket. */
async function isCutOff({ socket: { events } }: RawClient): Promise<void> {
  while ((await events.receive()).type !== 'disconnect');
}

it('delivers what is queued to a client that begins to read only then', async () => {
  const { lines, log } = listen();
  const { broker, endpoint } = await start({ timeout: 600_000, 'drain-timeout': 60_000 }, { log });
  const count = 3000;
  const slow = await clients.open(endpoint, 'slow', { receiveHighWaterMark: 1 });
  const sender = await clients.open(endpoint, 'sender');
  await floodWithMail(sender, 'slow', count);
  expect(broker.counters.mailboxDeliveries).toBeLessThan(count);
  const stopped = broker.stop();
  const got: string[] = [];
  const state = { over: false };
  const stopping = stopped.finally(() => (state.over = true));
  while (!state.over) {
    const next = await slow.poll(20);
    if (next !== undefined) got.push(brief(next));
  }
  await stopping;
  // The outbox was emptied into the socket, which has a moment more to send what it holds.
  while (got.length < count - SOCKET_MESSAGES) got.push(brief(await slow.next()));
  expect(got).toEqual(got.map((_, n) => `n${n}`));
  expect(lines).not.toContain(LEFT);
});

it('ends though a client never reads, and says what is left', async () => {
  const { lines, log } = listen();
  const { broker, endpoint } = await start({ timeout: 600_000, 'drain-timeout': 300 }, { log });
  const deaf = await clients.open(endpoint, 'deaf', { receiveHighWaterMark: 1 });
  const reader = await clients.open(endpoint, 'reader');
  await deaf.ask(read('s'), 'OK 200');
  await reader.ask(read('s'), 'OK 200');
  const sender = await clients.open(endpoint, 'sender');
  await floodWithMail(sender, 'deaf', 5000);
  await sender.ask(write('s'), 'OK 200');
  await sender.send(send('last'));
  await sender.barrier();
  const cutOff = Promise.all([reader, sender].map(isCutOff));
  await broker.stop();
  expect(lines).toContain(LEFT);
  await cutOff;
  // Others have got all that was theirs, and nothing that is false.
  await reader.expect('last');
  expect(await reader.poll()).toBeUndefined();
  expect(await sender.poll()).toBeUndefined();
});

it('hears nothing more once it stops, and may be asked to stop again', async () => {
  const { broker, endpoint } = await start();
  const client = await clients.open(endpoint, 'client');
  await client.barrier();
  const cutOff = isCutOff(client);
  const stopped = broker.stop();
  await client.send(PING, mail('client', 'too late'));
  await Promise.all([stopped, broker.stop()]);
  await cutOff;
  expect(await client.poll()).toBeUndefined();
  // Its successor on the same port gets what the client's socket had kept, if it had.
  const next = await onceFree(() => start({ bind: [endpoint] }));
  const words: string[] = [];
  await client.send(open('client'));
  for (let answer = await client.next(); ; answer = await client.next()) {
    words.push(brief(answer));
    if (brief(answer) === 'OK 200') break;
  }
  expect(words.filter((word) => word !== 'ERROR 500')).toEqual(['OK 200']);
  expect(next.broker.counters.mailboxMessages).toBe(0);
});

it('stops at once where there is nothing to do', async () => {
  for (let round = 0; round < 20; round++) {
    const { broker } = await start({ 'drain-timeout': 600_000 });
    await broker.stop();
  }
});
