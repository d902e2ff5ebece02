// The main conformance test: every scenario recorded from the C broker, played
// with raw sockets over tcp against a fresh broker of ours.
import { startBroker } from '../../broker/index.js';
import { ownTranscripts } from './own-transcripts.js';
import { replay } from './replay.js';

// Most of a scenario is waiting for nothing to come, so several run at a time.
it.concurrent.each(ownTranscripts.map(({ name, steps }) => [name, steps] as const))(
  '%s',
  async (_, steps) => {
    const broker = await startBroker({ bind: ['tcp://127.0.0.1:*'], timeout: 3_600_000 });
    try {
      await replay(broker.endpoints[0]!, steps);
    } finally {
      await broker.stop();
    }
  },
);
