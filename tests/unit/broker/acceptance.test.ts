// What a native client is told about its sendings: in order, joined where that
// says the same, and all of it, however much and however slowly it reads.
import { silentLogger } from '../../../broker/log.js';
import { Acceptance } from '../../../broker/sessions/acceptance.js';
import { Commits } from '../../../broker/store/commits.js';
import { useWorlds } from '../../support/broker-world.js';
import {
  FakeNativePeer,
  nativeMail,
  nativeRequest,
  only,
  type Said,
} from '../../support/fake-native-peer.js';
import { GatedStore } from '../../support/gated-store.js';
import { range } from '../../support/sessions.js';

const startWorld = useWorlds();

/** An acceptance, what it said, and whether it is listened to. */
class Heard {
  readonly said: Said[] = [];
  listens = true;
  wanted = 0;
  readonly acceptance = new Acceptance({
    say: (command) => {
      if (this.listens) this.said.push(command);
      return this.listens;
    },
    later: () => {
      this.wanted++;
    },
  });

  take(): Said[] {
    return this.said.splice(0);
  }
}

function commitsOf(store: GatedStore): Commits {
  const nothing = (): void => undefined;
  return new Commits(store, silentLogger, { gathering: nothing, retry: nothing, ended: nothing });
}

async function end(how: () => void): Promise<void> {
  how();
  await new Promise(setImmediate);
}

it('joins what follows one another, and tells sequences where there are some', async () => {
  const store = new GatedStore();
  const commits = commitsOf(store);
  const { acceptance, ...heard } = new Heard();
  acceptance.accept(2, commits, 10);
  acceptance.accept(1, commits, 12);
  acceptance.accept(1, commits);
  acceptance.accept(3, commits);
  acceptance.accept(1, commits, 20);
  commits.commit();
  acceptance.accept(1, commits, 21);
  await end(() => store.succeed());
  expect(heard.said).toEqual([
    { name: 'STORED', first: 1, count: 3, sequence: 10 },
    { name: 'STORED', first: 8, count: 1, sequence: 20 },
    { name: 'ACCEPTED', upTo: 8 },
  ]);
  await end(() => store.succeed());
  expect(heard.said.slice(3)).toEqual([
    { name: 'STORED', first: 9, count: 1, sequence: 21 },
    { name: 'ACCEPTED', upTo: 9 },
  ]);
});

it('says refusals in their turn, those with the same reason together', async () => {
  const store = new GatedStore();
  const commits = commitsOf(store);
  const heard = new Heard();
  const { acceptance } = heard;
  acceptance.refuse(1, 'early');
  expect(heard.take()).toMatchObject([
    { name: 'REFUSED', first: 1, count: 1, statusReason: 'early' },
    { name: 'ACCEPTED', upTo: 1 },
  ]);
  acceptance.accept(1, commits, 1);
  acceptance.refuse(2, 'no');
  acceptance.refuse(1, 'no');
  acceptance.refuse(1, 'never', 410);
  expect(heard.take()).toEqual([]);
  commits.commit();
  await end(() => store.succeed());
  expect(heard.take()).toEqual([
    { name: 'STORED', first: 2, count: 1, sequence: 1 },
    { name: 'REFUSED', first: 3, count: 3, statusCode: 300, statusReason: 'no' },
    { name: 'REFUSED', first: 6, count: 1, statusCode: 410, statusReason: 'never' },
    { name: 'ACCEPTED', upTo: 6 },
  ]);
});

it('keeps its words while nobody listens, and says them all afterwards', async () => {
  const store = new GatedStore();
  store.open();
  const commits = commitsOf(store);
  const heard = new Heard();
  const { acceptance } = heard;
  heard.listens = false;
  for (const n of range(1, 50)) acceptance.accept(1, commits, n * 2);
  for (const n of range(1, 50)) acceptance.refuse(1, `reason ${n}`);
  await commits.settled();
  expect(heard.wanted).toBeGreaterThan(0);
  expect(acceptance.backlog).toBe(100);
  acceptance.resume();
  heard.listens = true;
  acceptance.resume();
  expect(only(heard.said, 'STORED').map(({ sequence }) => sequence)).toEqual(
    range(1, 50).map((n) => n * 2),
  );
  expect(only(heard.said, 'REFUSED')).toHaveLength(50);
  expect(heard.said.at(-1)).toEqual({ name: 'ACCEPTED', upTo: 100 });
  expect(acceptance.backlog).toBe(0);
});

it('an ACCEPTED that found no room is said later', async () => {
  const store = new GatedStore();
  store.open();
  const commits = commitsOf(store);
  const heard = new Heard();
  heard.listens = false;
  heard.acceptance.accept(3, commits);
  await commits.settled();
  expect(heard.take()).toEqual([]);
  heard.listens = true;
  heard.acceptance.resume();
  heard.acceptance.resume();
  expect(heard.take()).toEqual([{ name: 'ACCEPTED', upTo: 3 }]);
});

it('shortens a reason that would not fit the wire', () => {
  const heard = new Heard();
  heard.acceptance.refuse(1, 'ü'.repeat(200));
  expect(only(heard.said, 'REFUSED')[0]?.statusReason.length).toBeLessThan(128);
});

it('each of thousands of refusals in one batch is heard', async () => {
  const world = await startWorld({ 'service-messages-max': 1, 'mailbox-messages-max': 1 });
  const sender = await FakeNativePeer.open(world, 's');
  await sender.exchange(nativeRequest('svc', 'first'), nativeMail('box', 'first'));
  const sends = range(1, 3000).flatMap(() => [nativeRequest('svc', 'x'), nativeMail('box', 'x')]);
  const said = await sender.exchange(...sends);
  const refused = only(said, 'REFUSED');
  expect(refused).toHaveLength(6000);
  expect(refused.map(({ first }) => first)).toEqual(range(3, 6002));
  expect(said.at(-1)).toEqual({ name: 'ACCEPTED', upTo: 6002 });
});

it('a client that reads nothing of it, and sends on and on, ends', async () => {
  const world = await startWorld({ 'service-messages-max': 1, 'mailbox-messages-max': 1 });
  const sender = await FakeNativePeer.open(world, 's');
  await sender.exchange(nativeRequest('svc', 'first'), nativeMail('box', 'first'));
  sender.peer.pipeMessages = 0;
  const sends = range(1, 10_000).flatMap(() => [nativeRequest('svc', 'x'), nativeMail('box', 'x')]);
  for (let batch = 0; batch < 12; batch++) {
    sender.send(...sends);
    await world.settle();
  }
  expect(world.logged('a command was refused: its session ends')).toHaveLength(1);
  expect(await world.view<unknown[]>('clients')).toHaveLength(1);
});
