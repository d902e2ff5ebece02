// A ROUTER that gives everything that `writer` sends to `reader`, and nothing
// else: the least that a broker of large bodies can be. Started by the
// benchmark with the endpoint to bind.
import { Router } from 'zeromq';

const socket = new Router({ mandatory: true, sendHighWaterMark: 16, receiveHighWaterMark: 16 });
await socket.bind(process.argv[2]!);
for await (const [from, body] of socket) {
  if (from!.toString() === 'writer') await socket.send(['reader', body!]);
}
