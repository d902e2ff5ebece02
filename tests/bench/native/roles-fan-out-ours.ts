// The roles of a fan-out on this project's own SDK: the workers, and who submits
// the jobs and follows their ends on the stream of events.
import { decode as unpack } from '@msgpack/msgpack';
import { done, nextLine, ready } from '../load/counting.js';
import type { RoleOptions } from '../load/options.js';
import { Tally, Waits } from './fan-out-tally.js';
import { sdk } from './sdk.js';

type Options = Required<RoleOptions>;

/** Does jobs, one at a time, by waiting; the result of a job is its body. */
export async function workAndWait({ endpoint, target, waitMs }: Options): Promise<void> {
  const { connect } = await sdk();
  const client = await connect(endpoint);
  const waits = new Waits(waitMs);
  await client.offer(target, async (request) => {
    await waits.one();
    return request.content;
  });
  await ready();
  await nextLine(); // released again once all jobs are done
  done(waits.report);
  await nextLine();
  await client.close();
}

/** Submits `count` jobs at once, and waits until all have succeeded. */
export async function fanOut({ endpoint, target, count }: Options): Promise<void> {
  const { connect } = await sdk();
  const client = await connect(endpoint);
  const reader = client.stream('$jobs').read({ pattern: `^${target}/` });
  await reader.ready;
  await ready();
  const tally = new Tally(count);
  const reading = (async () => {
    for await (const { subject, content } of reader) {
      const { event, reason } = unpack(content[0]!) as { event: string; reason?: string };
      const id = subject.slice(target.length + 1);
      if (event === 'succeeded') tally.succeeded(id, content[1]!.toString());
      else if (event === 'failed') tally.failed(id, reason ?? '');
    }
  })();
  await Promise.all(tally.ids.map((id) => client.submit(target, 'wait', Buffer.from(id), { id })));
  await tally.finished;
  tally.tell();
  await nextLine();
  await client.close();
  await reading;
}
