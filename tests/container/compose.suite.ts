// compose.yaml played for real: its broker and its two workers, each a container
// of the image that it names, with the environment that it gives; a client from
// outside has pictures resized. Run by run.sh, as container.suite.ts.
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { parse } from 'yaml';
import { HOSTS, LISTENING, untilBrokerHas, useClients } from './broker.js';
import { useContainers, type Container, type RunOptions } from './container.js';
import { loadImage } from './image.js';

/** What the file says of a service, as far as it says it here. */
interface Service {
  readonly build: string | { readonly context: string; readonly target: string };
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly deploy?: { readonly replicas: number };
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
}

const { services, volumes } = parse(readFileSync('compose.yaml', 'utf8')) as {
  services: { broker: Service; worker: Service };
  volumes: Record<string, unknown>;
};
const { broker, worker } = services;

const containers = useContainers(HOSTS);
const client = useClients();

async function start(service: Service, options: RunOptions = {}): Promise<Container> {
  const { environment = {} } = service;
  return containers.run(loadImage(service.image), { env: environment, ...options });
}

/** The services as the file has them: the broker first, the workers once it is well. */
async function up(): Promise<Container[]> {
  const data = containers.volume(loadImage(broker.image));
  const container = await start(broker, { data, readyLine: LISTENING });
  expect((await container.health()).code).toBe(0);
  const workers = Array.from({ length: worker.deploy?.replicas ?? 1 }, () => start(worker));
  return [container, ...(await Promise.all(workers))];
}

it('builds, opens and keeps what the images have, and allows no more than they need', () => {
  expect([broker.build, worker.build]).toEqual(['.', { context: '.', target: 'workers' }]);
  expect(broker.ports).toEqual(['127.0.0.1:9999:9999']);
  expect(broker.volumes).toEqual(['data:/data']);
  expect(volumes).toEqual({ data: null });
  expect(worker.deploy?.replicas).toBe(2);
  for (const service of [broker, worker]) {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
  }
});

it('has two workers that resize pictures, and lets go of them in peace', async () => {
  const [, ...workers] = await up();
  const requester = await client();
  await untilBrokerHas(requester, 'services', { service: 'resize', workers: 2 });

  const picture = readFileSync('workers/examples/pictures/lake.jpg');
  const replies = await Promise.all(
    ['240/one.jpg', '120/two.jpg'].map((subject) => requester.request('resize', subject, picture)),
  );
  const widths = replies.map(async ({ content }) => (await sharp(content[0]).metadata()).width);
  expect(await Promise.all(widths)).toEqual([240, 120]);
  expect(new Set(replies.map(({ sender }) => sender)).size).toBe(2);

  for (const container of workers) {
    expect(await container.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  }
});
