// A ROUTER that gives what any peer sends to the peer that asked for it last,
// and nothing else: the least that a broker of large bodies can be. Started by
// the benchmark with the endpoint to bind.
import { setTimeout as sleep } from 'node:timers/promises';
import { Router } from 'zeromq';

const socket = new Router({ mandatory: true, sendHighWaterMark: 16, receiveHighWaterMark: 16 });
await socket.bind(process.argv[2]!);
let reader: Buffer | undefined;
for await (const [from, body] of socket) {
  if (body!.length === 0) {
    reader = from!;
    await socket.send([reader, 'yours']);
  } else if (reader !== undefined) await forward([reader, body!]);
}

/** A ROUTER that must not drop does not wait for a full peer either: try again. */
async function forward(frames: Buffer[]): Promise<void> {
  for (;;) {
    try {
      await socket.send(frames);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await sleep(1);
    }
  }
}
