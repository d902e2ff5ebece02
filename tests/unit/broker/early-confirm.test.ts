// A receiver may be faster than the broker's own socket call: its CONFIRM comes
// while the promise of the send has not settled yet.
import { useWorlds } from '../../support/broker-world.js';
import { confirm, mail, offer, request } from '../../support/v1-commands.js';

const startWorld = useWorlds();

it.each(['mail', 'a request'])(
  'a CONFIRM for %s that comes before its send has settled counts',
  async (kind) => {
    const world = await startWorld();
    const sender = await world.client('s');
    const receiver = await world.client('r');
    await world.talk(receiver, offer('svc'));
    // The receiver answers within the very call that hands it the message.
    const put = receiver.put.bind(receiver);
    receiver.put = (frames) => {
      put(frames);
      receiver.send(confirm('t'));
    };
    await world.exchange(sender);
    sender.send(
      kind === 'mail' ? mail('r', 'x', { tracker: 't' }) : request('svc', 'x', { tracker: 't' }),
    );
    await world.settle();
    expect(sender.read()).toMatchObject([{ name: 'CONFIRM', tracker: 't', statusCode: 200 }]);
    expect(world.broker.counters.unknownTrackers).toBe(0);
  },
);
