// The deadline of a request ends with the request: whatever became of it, nothing
// happens when the moment comes that it was to be done by.
import { useWorlds } from '../../support/broker-world.js';
import {
  FakeNativePeer,
  mailCredit,
  nativeConfirm,
  nativeRequest,
  only,
  type Asked,
  type SaidBy,
} from '../../support/fake-native-peer.js';

const startWorld = useWorlds();

const DEADLINE_MS = 1000;

type Ends = (given: SaidBy<'SERVICE DELIVER'>) => Asked;

it.each<[string, Ends]>([
  [
    'was answered',
    ({ delivery, epoch }) => ({
      name: 'REPLY',
      delivery,
      epoch,
      content: [Buffer.from('done')],
    }),
  ],
  ['was confirmed', (given) => nativeConfirm(given)],
  ['is a dead letter', (given) => nativeConfirm(given, 400)],
])('of a request that %s means nothing', async (_what, end) => {
  const world = await startWorld();
  const worker = await FakeNativePeer.open(world, 'w');
  await worker.ask('offer', { service: 's' });
  const asks = await FakeNativePeer.open(world, 'asks');
  await asks.exchange(
    mailCredit(10),
    nativeRequest('s', 'one', { tracker: 't', deadline: DEADLINE_MS }),
  );
  const [given] = only(worker.read(), 'SERVICE DELIVER');
  await worker.exchange(end(given!));
  asks.read();
  await world.pass(DEADLINE_MS * 2);
  expect(only(asks.read(), 'CONFIRM')).toEqual([]);
  expect(await world.view('services')).toMatchObject([{ requests: 0, bytes: 0 }]);
  expect(world.broker.counters.expired).toBe(0);
});
