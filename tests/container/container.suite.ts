// The broker's container, built from the Dockerfile and run for real: who it runs
// as, what is in it, what it says of its health, how it stops, what it keeps, and
// that clients outside of it can work with it. Run by run.sh; not part of
// `npm test`, since it takes root and tools that few machines have.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { HOSTS, LISTENING, untilBrokerHas, useClients } from './broker.js';
import { useContainers, type Container, type RunOptions } from './container.js';
import { loadImage } from './image.js';

const image = loadImage('malamute-ts');
const containers = useContainers(HOSTS);
const client = useClients();

/** A broker as the image starts it, with a volume, once it listens. */
async function startBroker(options: RunOptions = {}): Promise<Container> {
  return containers.run(image, {
    data: containers.volume(image),
    readyLine: LISTENING,
    ...options,
  });
}

describe('the image', () => {
  it('says how to run it', () => {
    expect(image.config.User).toBe('1000:1000');
    expect(image.config.ExposedPorts).toEqual({ '9999/tcp': {} });
    expect(image.config.Volumes).toEqual({ '/data': {} });
    expect(image.config.StopSignal).toBe('SIGTERM');
  });

  it('gives its user the volume and nothing of the program', () => {
    expect(statSync(join(image.root, 'data')).uid).toBe(image.uid);
    for (const path of readdirSync(join(image.root, 'app'), { recursive: true })) {
      const { uid, mode } = statSync(join(image.root, 'app', String(path)));
      expect([path, uid, mode & 0o022]).toEqual([path, 0, 0]);
    }
  });

  it('holds the production packages and no others', () => {
    const locked = Object.entries(packagesOf('package-lock.json')).filter(([path]) => path !== '');
    const production = locked.filter(([, { dev, devOptional }]) => !dev && !devOptional);
    const needed = production.filter(([, { optional }]) => !optional).map(([path]) => path);
    const hidden = join(image.root, 'app', 'node_modules', '.package-lock.json');
    const installed = Object.keys(packagesOf(hidden));
    expect(needed.filter((path) => !installed.includes(path))).toEqual([]);
    expect(installed.filter((path) => !production.some(([known]) => known === path))).toEqual([]);
    for (const path of installed) expect(existsSync(join(image.root, 'app', path))).toBe(true);
  });

  it('holds no sources, no tests and nothing of the machine that built it', () => {
    expect(readdirSync(join(image.root, 'app')).sort()).toEqual([
      'LICENSE',
      'dist',
      'node_modules',
      'package.json',
    ]);
    for (const path of ['root/.npmrc', 'root/.npm', 'home/node/.npmrc', 'home/node/.npm']) {
      expect([path, existsSync(join(image.root, path))]).toEqual([path, false]);
    }
  });
});

describe('the container', () => {
  it('runs the broker as process 1, as a user without rights', async () => {
    const container = await startBroker();
    const pid = await container.pid();
    expect(readlinkSync(`/proc/${pid}/exe`)).toMatch(/\/usr\/local\/bin\/node$/);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(status).toMatch(/^NSpid:.*\t1$/m);
    expect(status).toMatch(new RegExp(`^Uid:(\t${image.uid}){4}$`, 'm'));
    expect(status).toMatch(/^CapEff:\t0+$/m);
    expect(container.child.stdout).toContain('listening on tcp://0.0.0.0:9999');
  });

  it('serves streams, mail and services to clients outside of it', async () => {
    await startBroker();
    const [ada, bob] = [await client({ address: 'ada' }), await client({ address: 'bob' })];
    const stream = bob.stream('news').read({ pattern: '^good' });
    await stream.ready;
    const mail = bob.mailbox();
    await bob.offer('double', (request) => (request.value() as number) * 2);

    await ada.stream('news').send('bad', 'no');
    await ada.stream('news').send('good', 'yes');
    await ada.sendTo('bob', 'hello', { from: 'ada' });
    expect((await stream.next()).value?.value()).toBe('yes');
    expect((await mail.next()).value?.value()).toEqual({ from: 'ada' });
    expect((await ada.request('double', 'twice', 21)).value()).toBe(42);
  });

  it('is healthy while the broker answers, and not while it does not', async () => {
    const container = await startBroker();
    expect(await container.health()).toMatchObject({ code: 0, stderr: '' });
    await container.signal('SIGSTOP');
    expect((await container.health()).code).not.toBe(0);
    await container.signal('SIGCONT');
    expect((await container.health()).code).toBe(0);
  });

  it('ends by SIGTERM with status 0, clients connected or not', async () => {
    const container = await startBroker();
    await client();
    expect(await container.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('keeps mail in its volume through a stop and a start', async () => {
    const data = containers.volume(image);
    const first = await startBroker({ data });
    const sender = await client();
    await sender.sendTo('absent', 'later', { text: 'still here' });
    await sender.ping();
    await sender.close();
    await first.stop('SIGTERM');

    await startBroker({ data });
    const { value: mail } = await (await client({ address: 'absent' })).mailbox().next();
    expect(mail).toMatchObject({ subject: 'later', sender: sender.address });
    expect(mail?.value()).toEqual({ text: 'still here' });
  });

  it('finds in a restored volume what was in the one that was backed up', async () => {
    const [data, restored] = [containers.volume(image), containers.volume(image)];
    const first = await startBroker({ data });
    const sender = await client();
    await sender.sendTo('absent', 'kept');
    await sender.ping();
    await sender.close();
    await first.stop('SIGTERM');
    // The commands of docs/operations.md.
    const archive = join(containers.volume(image), 'data.tar.gz');
    const excluded = ['--exclude', '*.lock', '--exclude', '*-lock'];
    execFileSync('tar', ['-czf', archive, '-C', data, ...excluded, '.']);
    execFileSync('tar', ['-xzpf', archive, '-C', restored]);

    await startBroker({ data: restored });
    const { value: mail } = await (await client({ address: 'absent' })).mailbox().next();
    expect(mail?.subject).toBe('kept');
  });

  it('refuses a volume that another container uses', async () => {
    const data = containers.volume(image);
    await startBroker({ data });
    const second = await containers.run(image, { data, env: { MLM_BIND: 'tcp://127.0.0.1:*' } });
    expect(await second.child.waitForExit()).toEqual({ code: 1, signal: null });
    expect(second.child.stderr).toContain('/data is in use by another broker');
  });

  it('takes options from its environment', async () => {
    await startBroker({ env: { MLM_MAILBOX_MESSAGES_MAX: '1' } });
    const sender = await client();
    await sender.sendTo('absent', 'first');
    const second = sender.sendTo('absent', 'second', undefined, { confirm: true });
    await expect(second).rejects.toMatchObject({ code: 'REFUSED' });
  });

  it('says which option of its environment is wrong', async () => {
    const container = await containers.run(image, { env: { MLM_TIMEOUT: 'soon' } });
    expect(await container.child.waitForExit()).toEqual({ code: 2, signal: null });
    expect(container.child.stderr).toContain('MLM_TIMEOUT: "soon"');
  });

  it('has the commands, which find the broker by their environment', async () => {
    await startBroker();
    const tail = await containers.run(image, {
      command: ['mlm-tail', '-n', '1', 'results'],
      env: { MLM_ENDPOINT: 'tcp://broker:9999' },
    });
    await untilBrokerHas(await client(), 'streams', { stream: 'results', readers: 1 });
    const send = await containers.run(image, {
      command: ['mlm', 'send', 'results', 'done', 'picture 7'],
    });
    expect(await send.child.waitForExit()).toEqual({ code: 0, signal: null });
    expect(await tail.child.waitForExit()).toEqual({ code: 0, signal: null });
    expect(tail.child.stdout).toContain('picture 7');
  });
});

/** A package as a lock file names it. */
interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
}

function packagesOf(lockFile: string): Record<string, LockedPackage> {
  const lock = JSON.parse(readFileSync(lockFile, 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  return lock.packages;
}
