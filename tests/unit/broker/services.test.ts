import type { FakePeer } from '../../support/fake-transport.js';
import { useWorlds, type World } from '../../support/broker-world.js';
import {
  brief,
  CLOSE,
  confirm,
  credit,
  mail,
  offer,
  open,
  PING,
  request,
} from '../../support/v1-commands.js';

const startWorld = useWorlds();

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => `n${from + n}`);
}

async function worker(world: World, address: string, pattern = ''): Promise<FakePeer> {
  const peer = await world.client(address);
  expect(await world.talk(peer, offer('svc', pattern))).toContain('OK 200');
  return peer;
}

describe('a request', () => {
  it('comes with all its parts, and is answered by mail', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const peer = await worker(world, 'worker');
    const content = [Buffer.from('in'), Buffer.alloc(0)];
    await world.exchange(asker, request('svc', 'do', { tracker: 't', content }));
    expect(peer.read()).toEqual([
      {
        name: 'SERVICE DELIVER',
        sender: 'asker',
        address: 'svc',
        subject: 'do',
        tracker: 't',
        content,
      },
    ]);
    await world.exchange(peer, mail('asker', 'done', { tracker: 't' }), confirm('t'));
    expect(asker.read().map(brief).sort()).toEqual(['CONFIRM t 200', 'done']);
  });

  it('waits for a worker, and goes out after its offer was answered', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    await world.exchange(asker, ...numbers(300).map((subject) => request('svc', subject)));
    expect(await world.view('services')).toMatchObject([
      { service: 'svc', workers: 0, requests: 300 },
    ]);
    const peer = await world.client('worker');
    expect(await world.talk(peer, offer('svc'))).toEqual(['OK 200', ...numbers(300)]);
  });

  it('goes to none but workers whose pattern matches, in the order of its coming', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const subjects = ['b1', 'a1', 'c1', 'a2', 'b2', 'ab3'];
    await world.exchange(asker, ...subjects.map((subject) => request('svc', subject)));
    const a = await world.client('a');
    expect(await world.talk(a, offer('svc', 'a'))).toEqual(['OK 200', 'a1', 'a2', 'ab3']);
    const b = await world.client('b');
    expect(await world.talk(b, offer('svc', 'b'))).toEqual(['OK 200', 'b1', 'b2']);
    await world.exchange(asker, request('svc', 'a4'), request('svc', 'b4'), request('svc', 'd4'));
    expect([a.read().map(brief), b.read().map(brief)]).toEqual([['a4'], ['b4']]);
    const all = await world.client('all');
    expect(await world.talk(all, offer('svc'))).toEqual(['OK 200', 'c1', 'd4']);
  });

  it('is shared among the workers in turn', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const peers = [await worker(world, 'w0'), await worker(world, 'w1'), await worker(world, 'w2')];
    for (const subject of numbers(30)) await world.exchange(asker, request('svc', subject));
    const shares = peers.map((peer) => peer.read().map(brief));
    const turns = [0, 1, 2].map((turn) => numbers(30).filter((_, n) => n % 3 === turn));
    expect(shares.sort()).toEqual(turns.sort());
  });

  it('is shared evenly among workers with overlapping patterns', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const peers = [
      await worker(world, 'ab', 'a|b'),
      await worker(world, 'bc', 'b|c'),
      await worker(world, 'ca', 'c|a'),
    ];
    for (let n = 0; n < 30; n++) {
      await world.exchange(asker, ...['a', 'b', 'c'].map((subject) => request('svc', subject)));
    }
    for (const peer of peers) expect(peer.read()).toHaveLength(30);
  });

  it('goes past workers that take no more', async () => {
    const world = await startWorld({ 'outbox-messages-max': 2 });
    const asker = await world.client('asker');
    const full = await worker(world, 'full');
    const idle = await worker(world, 'idle');
    full.pipeMessages = 0;
    await world.exchange(asker, ...numbers(50).map((subject) => request('svc', subject)));
    expect(idle.read()).toHaveLength(48);
    full.pipeMessages = Infinity;
    await world.pass(100);
    expect(full.read()).toHaveLength(2);
    for (const subject of numbers(10)) await world.exchange(asker, request('svc', subject));
    expect([full.read().length, idle.read().length]).toEqual([5, 5]);
  });

  it('goes to nobody without credit, and to whoever grants some', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const poor = await world.client('poor');
    await world.exchange(poor, credit(1), offer('svc'));
    await world.exchange(asker, ...numbers(5).map((subject) => request('svc', subject)));
    expect(poor.read().map(brief)).toEqual(['n0']);
    expect(await world.talk(poor, credit(3))).toEqual(['n1', 'n2', 'n3']);
    const rich = await world.client('rich');
    expect(await world.talk(rich, offer('svc'))).toEqual(['OK 200', 'n4']);
  });

  it('that a worker’s socket did not take goes to others at once, before what came later', async () => {
    const world = await startWorld({ 'outbox-messages-max': 3 });
    const asker = await world.client('asker');
    const first = await worker(world, 'first');
    first.pipeMessages = 1;
    await world.exchange(asker, ...numbers(8).map((subject) => request('svc', subject)));
    const second = await world.client('second');
    expect(await world.talk(second, offer('svc'))).toEqual(['OK 200', ...numbers(5, 3)]);
    await world.exchange(first, CLOSE);
    expect(second.read().map(brief)).toEqual(numbers(2, 1));
    expect(world.broker.counters).toMatchObject({ takenBack: 2, serviceDeliveries: 8 });
    expect(await world.view('services')).toMatchObject([{ requests: 0, workers: 1 }]);
  });

  it('that came back waits in its old place where nobody can take it', async () => {
    const world = await startWorld({ 'outbox-messages-max': 3 });
    const asker = await world.client('asker');
    const first = await worker(world, 'first');
    first.pipeMessages = 0;
    await world.exchange(asker, ...numbers(8).map((subject) => request('svc', subject)));
    await world.exchange(first, CLOSE);
    const second = await world.client('second');
    expect(await world.talk(second, offer('svc'))).toEqual(['OK 200', ...numbers(8)]);
  });

  it('whose timeout passed is gone, wherever it waited', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const timeout = 500;
    const none = request('svc', 'none', { tracker: 'none', timeout });
    const kept = request('svc', 'kept');
    await world.exchange(asker, none, kept, request('svc', 'b', { tracker: 'b', timeout }));
    const a = await worker(world, 'a', 'a');
    await world.pass(600);
    expect(asker.read().map(brief)).toEqual(['CONFIRM none 408', 'CONFIRM b 408']);
    expect(await world.talk(a, offer('svc', ''))).toEqual(['OK 200', 'kept']);
    expect(await world.view('services')).toMatchObject([{ requests: 0 }]);
  });

  it('whose timeout passed in the outbox of a worker that has gone is not given to others', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const deaf = await worker(world, 'deaf');
    deaf.pipeMessages = 0;
    await world.exchange(asker, request('svc', 'x', { tracker: 't', timeout: 500 }));
    await world.pass(600);
    const other = await worker(world, 'other');
    await world.exchange(deaf, CLOSE);
    await world.pass(10);
    expect(other.read()).toEqual([]);
    expect(asker.read().map(brief)).toEqual(['CONFIRM t 408']);
    expect(await world.view('services')).toMatchObject([{ requests: 0 }]);
  });

  it('waits on when a bad offer comes', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    await world.exchange(asker, request('svc', 'x'));
    const bad = await world.client('bad');
    expect(await world.talk(bad, offer('svc', '['))).toEqual(['ERROR 300']);
    const good = await world.client('good');
    expect(await world.talk(good, offer('svc'))).toEqual(['OK 200', 'x']);
  });
});

describe('an offer', () => {
  it('made twice is one', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const peer = await worker(world, 'worker');
    expect(await world.talk(peer, offer('svc'), offer('svc', 'x'), offer('svc', 'x'))).toEqual([
      'OK 200',
      'OK 200',
      'OK 200',
    ]);
    expect(await world.talk(asker, request('svc', 'x'))).toEqual([]);
    expect(peer.read().map(brief)).toEqual(['x']);
    expect(await world.view('services')).toMatchObject([{ workers: 1, patterns: ['', 'x'] }]);
  });

  it('ends with its session, and the service with the last one', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const first = await worker(world, 'first');
    const second = await worker(world, 'second');
    await world.exchange(first, CLOSE);
    await world.exchange(asker, request('svc', 'x'));
    expect(second.read().map(brief)).toEqual(['x']);
    await world.exchange(second, CLOSE);
    expect(await world.view('services')).toEqual([]);
    await world.exchange(asker, request('svc', 'y'));
    expect(await world.view('services')).toMatchObject([{ service: 'svc', requests: 1 }]);
  });

  it.each(['$broker', '$', '$mine'])('of %s is refused', async (name) => {
    const world = await startWorld();
    expect(await world.talk(await world.client('a'), offer(name))).toEqual(['ERROR 300']);
  });

  it.each(['[', '(', '*', '+a', '\\', 'a{2,1}', '(?<n>', '[z-a]'])(
    'under the pattern %s is answered, and leaves nothing behind where it is refused',
    async (pattern) => {
      const world = await startWorld();
      const [answer] = await world.talk(await world.client('a'), offer('svc', pattern));
      expect(['OK 200', 'ERROR 300']).toContain(answer);
      const services = await world.view('services');
      expect(services).toHaveLength(answer === 'OK 200' ? 1 : 0);
    },
  );

  it('beyond the limit of services of one client is refused', async () => {
    const world = await startWorld({ 'subscriptions-max': 2 });
    const peer = await world.client('a');
    const answers = await world.talk(peer, offer('a'), offer('b'), offer('c'));
    expect(answers).toEqual(['OK 200', 'OK 200', 'ERROR 300']);
    expect(await world.view('services')).toEqual([]);
  });

  it('beyond the limit of patterns is refused, and patterns that nobody uses make room', async () => {
    const world = await startWorld({ 'patterns-max': 2 });
    const asker = await world.client('asker');
    const a = await worker(world, 'a', 'a');
    const b = await worker(world, 'b', 'b');
    const c = await world.client('c');
    expect(await world.talk(c, offer('svc', 'c'))).toEqual(['ERROR 300']);
    await world.exchange(asker, request('svc', 'c'));
    await world.exchange(a, CLOSE);
    await world.exchange(asker, request('svc', 'a'));
    expect(await world.talk(c, open('c'), offer('svc', 'c'))).toEqual(['OK 200', 'OK 200', 'c']);
    await world.exchange(b, CLOSE);
    expect(await world.talk(c, offer('svc', 'a'))).toEqual(['OK 200', 'a']);
  });
});

describe('a limit', () => {
  it('of requests refuses what is beyond it and tells the sender', async () => {
    const world = await startWorld({ 'service-messages-max': 2 });
    const asker = await world.client('asker');
    const sends = numbers(4).map((tracker) => request('svc', tracker, { tracker }));
    expect(await world.talk(asker, ...sends)).toEqual(['CONFIRM n2 300', 'CONFIRM n3 300']);
    const peer = await world.client('worker');
    expect(await world.talk(peer, offer('svc'))).toEqual(['OK 200', 'n0', 'n1']);
    expect(world.broker.counters).toMatchObject({ refused: 2, serviceRequests: 2 });
  });

  it('of services refuses a new one, not those that are there', async () => {
    const world = await startWorld({ 'services-max': 2 });
    const asker = await world.client('asker');
    const sends = ['a', 'b', 'c', 'a'].map((to) => request(to, 'x', { tracker: to }));
    expect(await world.talk(asker, ...sends)).toEqual(['CONFIRM c 300']);
    expect(await world.talk(asker, request('$reserved', 'x', { tracker: 't' }))).toEqual([
      'CONFIRM t 300',
    ]);
  });

  it('of one message refuses it, and leaves no service behind', async () => {
    const world = await startWorld({ 'message-bytes-max': 1024 });
    const asker = await world.client('asker');
    const content = [Buffer.alloc(2000)];
    expect(await world.talk(asker, request('svc', 'x', { content, tracker: 't' }))).toEqual([
      'CONFIRM t 300',
    ]);
    expect(await world.view('services')).toEqual([]);
  });

  it('is answered however long the name is that the answer quotes', async () => {
    const world = await startWorld({ 'service-messages-max': 1 });
    const asker = await world.client('asker');
    for (const name of ['x'.repeat(255), 'ü'.repeat(127), `$${'y'.repeat(254)}`]) {
      const answers = await world.talk(
        asker,
        request(name, 'x'),
        request(name, 'x', { tracker: 't' }),
      );
      expect(answers).toEqual(['CONFIRM t 300']);
    }
    const expiring = request('z'.repeat(255), 'x', { tracker: 't', timeout: 10 });
    await world.exchange(asker, expiring);
    await world.pass(50);
    expect(asker.read().map(brief)).toEqual(['CONFIRM t 408']);
    expect(await world.talk(asker, PING)).toEqual(['CONNECTION PONG']);
  });
});

it('a worker of two services is not kept from one by the backlog of the other', async () => {
  const world = await startWorld({ 'outbox-messages-max': 10 });
  const asker = await world.client('asker');
  const subjects = numbers(300);
  await world.exchange(asker, ...subjects.map((subject) => request('big', subject)));
  await world.exchange(asker, ...subjects.map((subject) => request('small', `s${subject}`)));
  const peer = await world.client('worker');
  peer.pipeMessages = 10;
  await world.exchange(peer, offer('big'), offer('small'));
  const got: string[] = [];
  for (let turn = 0; turn < 20; turn++) {
    got.push(...peer.read().map(brief));
    await world.pass(70);
  }
  const small = got.filter((subject) => subject.startsWith('s'));
  expect(got.length).toBeGreaterThan(100);
  expect(small.length).toBeGreaterThan(20);
});

it('subjects without end leave no trace in a service', async () => {
  const world = await startWorld();
  const asker = await world.client('asker');
  const peer = await worker(world, 'worker', 'a');
  await world.exchange(peer, ...['b', 'c', 'd'].map((pattern) => offer('svc', pattern)));
  for (let round = 0; round < 12; round++) {
    const sends = numbers(1000, round * 1000).map((subject) => request('svc', `a${subject}`));
    await world.exchange(asker, ...sends);
    expect(peer.read().at(-1)).toMatchObject({ subject: `an${round * 1000 + 999}` });
  }
  expect(await world.view('services')).toMatchObject([{ requests: 0, bytes: 0 }]);
});
