// What a client of every pattern must live through when the broker dies and
// comes back on the same endpoint: it opens again, replays what it declared,
// and messages flow as before. It does not know who plays the clients.
import type { Peer } from './peer.js';

/** The players: each declares something that the broker must learn again. */
export interface Survivors {
  writer: Peer;
  reader: Peer;
  worker: Peer;
}

/** Opens and declares everything, and proves that it works. */
export async function declareAll(endpoint: string, survivors: Survivors): Promise<void> {
  const { writer, reader, worker } = survivors;
  await writer.open(endpoint, 'writer');
  await reader.open(endpoint, 'reader');
  await worker.open(endpoint, 'worker');
  await writer.write('news');
  await reader.read('news', '^good');
  await worker.offer('shout', '', ({ body }) => body);
  await writer.send('good', [Buffer.from('before')]);
  expect((await reader.nextOfStream()).body).toEqual([Buffer.from('before')]);
}

/**
 * Proves that everything works again. MLM/1 leaves it open what becomes of messages sent while
 * a client opens again (the C client ends for good if it sends between OPEN and STREAM WRITE),
 * so each side is first seen back: mail for it waits until it has opened its session.
 */
export async function expectAllBack(
  endpoint: string,
  { writer, reader }: Survivors,
  guest: Peer,
): Promise<void> {
  await guest.open(endpoint, 'guest');
  for (const [address, peer] of Object.entries({ writer, reader })) {
    await guest.sendTo(address, 'are you back?', [Buffer.from(address)]);
    expect(await peer.nextMail()).toMatchObject({ sender: 'guest', body: [Buffer.from(address)] });
  }
  // What the reader gets back itself tells that the broker has its declarations.
  await reader.sendTo('reader', 'through', []);
  await reader.nextMail();
  await writer.send('bad', []);
  await writer.send('good', [Buffer.from('after')]);
  expect(await reader.nextOfStream()).toEqual({
    address: 'news',
    sender: 'writer',
    subject: 'good',
    body: [Buffer.from('after')],
  });
  // A request waits for the worker's offer, however late that is replayed.
  const reply = await guest.request('shout', 'loud', [Buffer.from('hey')]);
  expect(reply).toEqual([Buffer.from('hey')]);
}
