// The roles without a broker: large bodies from a DEALER through a ROUTER that
// only forwards to a DEALER, and single commits of LMDB. They say what the
// parts that the broker stands on can do alone.
import { join } from 'node:path';
import { open as openDatabase } from 'lmdb';
import { Dealer } from 'zeromq';
import { done, nextLine, nowNs, Progress, ready } from '../load/counting.js';
import type { RoleOptions } from '../load/options.js';
import { Bodies, keepInFlight } from './bodies.js';

type Options = Required<RoleOptions>;

const PATIENCE_MS = 10_000;

/** Sends `warmup` and then `count` bodies; the queues of the sockets bound what is on its way. */
export async function send({ endpoint, size, warmup, count }: Options): Promise<void> {
  const socket = new Dealer({
    sendHighWaterMark: 16,
    sendTimeout: PATIENCE_MS,
    linger: PATIENCE_MS,
  });
  socket.connect(endpoint);
  const bodies = new Bodies(size, 128);
  await ready();
  const total = warmup + count;
  let firstNs = nowNs();
  for (let number = 0; number < total; number++) {
    if (number === warmup) firstNs = nowNs();
    await socket.send(bodies.take(number, number + 1 === total));
  }
  done({ count: total, firstNs });
  await nextLine();
  socket.close();
}

/** Receives bodies until the last one. */
export async function receive({ endpoint }: Options): Promise<void> {
  const socket = new Dealer({ receiveHighWaterMark: 16, receiveTimeout: PATIENCE_MS });
  socket.connect(endpoint);
  await socket.send('');
  await socket.receive();
  await ready();
  const progress = new Progress();
  while (!progress.finished) progress.take((await socket.receive())[0]!);
  done({ count: progress.received, disordered: progress.disordered });
  await nextLine();
  socket.close();
}

/** Puts one value after the other into LMDB, each flushed before the next. `endpoint` is the folder. */
export async function commit({ endpoint, target, size, seconds }: Options): Promise<void> {
  const database = openDatabase<Buffer, number>({
    path: join(endpoint, target),
    encoding: 'binary',
    overlappingSync: false,
  });
  const bodies = new Bodies(size);
  await ready();
  const flight = await keepInFlight(1, seconds, async (number) => {
    await database.put(number, bodies.take(number, false));
  });
  done(flight);
  await nextLine();
  await database.close();
}
