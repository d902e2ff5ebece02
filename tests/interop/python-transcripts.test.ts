// The recorded scenarios once more, played by the Python peer: a second judge
// that shares neither code nor ZeroMQ binding with the first.
import { startBroker } from '../../broker/index.js';
import { LinePeer } from './line-peer.js';
import { ownTranscripts } from './own-transcripts.js';
import { requirePython, startPython } from './python.js';

requirePython();

async function withPython(use: (peer: LinePeer) => Promise<void>): Promise<void> {
  const child = await startPython();
  try {
    await use(new LinePeer(child));
  } finally {
    await child.stop();
  }
}

it('the Python codec reads and writes what the C codec wrote', async () => {
  await withPython(async (peer) => {
    await peer.command('vectors');
  });
});

it.concurrent.each(ownTranscripts.map(({ name }) => [name]))('%s', async (name) => {
  const broker = await startBroker({ bind: ['tcp://127.0.0.1:*'], timeout: 3_600_000 });
  try {
    await withPython(async (peer) => {
      await peer.command('replay', broker.endpoints[0]!, name);
    });
  } finally {
    await broker.stop();
  }
});
