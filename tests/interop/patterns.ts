// The scenarios that any two peers must play through any broker: streams, mail
// and services, with the bodies that tend to break codecs. They know neither
// who plays a side nor which broker stands between.
import type { Delivery, Peer } from './peer.js';

/** The bodies that must arrive as they were sent. */
const BODIES: Buffer[][] = [
  [Buffer.from('text')],
  [],
  [Buffer.alloc(0)],
  [Buffer.from('a'), Buffer.alloc(0), Buffer.from([0x00, 0xff, 0x0a, 0x09])],
  [Buffer.from(Array.from({ length: 256 }, (_, octet) => octet))],
  [Buffer.alloc(100_000, 0xa5)],
];
const SUBJECTS = ['plain', 'with space', 'grüße.日本', 's'.repeat(255)];
const MANY = 300;

/** Two peers that are not open yet, and where to open them. */
export interface Stage {
  endpoint: string;
  /** Writes, sends or requests. */
  one: Peer;
  /** Reads, receives or works. */
  other: Peer;
}

/** A scenario by the name under which it is reported. */
export const SCENARIOS: Record<string, (stage: Stage) => Promise<void>> = {
  'stream: what matches, in order, once': streamInOrder,
  'stream: any subject and any body': streamBodies,
  'stream: cancel': streamCancel,
  'mailbox: to a peer that is there': mailOnline,
  'mailbox: kept for a peer that comes later': mailOffline,
  'service: requests and their replies': serviceReplies,
  'service: a request waits for a worker': serviceWaits,
};

/**
 * Scenarios that the C broker cannot play: it forgets the tracker of what it keeps, and sends
 * it on with the tracker of whatever it read last, so that replies go astray.
 */
export const TRACKER_SCENARIOS: Record<string, (stage: Stage) => Promise<void>> = {
  'service: several requests wait, each for a worker that matches': serviceWaitsForMatch,
};

async function streamInOrder({ endpoint, one, other }: Stage): Promise<void> {
  await one.open(endpoint, 'writer');
  await other.open(endpoint, 'reader');
  await one.write('weather');
  await other.read('weather', '^temp\\.');
  const subjects = Array.from({ length: MANY }, (_, n) => (n % 3 ? `temp.${n}` : `rain.${n}`));
  for (const subject of subjects) await one.send(subject, [Buffer.from(subject)]);
  for (const subject of subjects.filter((name) => name.startsWith('temp.'))) {
    expect(await other.nextOfStream()).toEqual({
      address: 'weather',
      sender: 'writer',
      subject,
      body: [Buffer.from(subject)],
    });
  }
}

async function streamBodies({ endpoint, one, other }: Stage): Promise<void> {
  await one.open(endpoint, 'wrïter');
  await other.open(endpoint, 'reader');
  await other.read('ströme', '');
  await one.write('ströme');
  for (const { subject, body } of everyMessage()) {
    await one.send(subject, body);
    expect(await other.nextOfStream()).toEqual({
      address: 'ströme',
      sender: 'wrïter',
      subject,
      body,
    });
  }
}

async function streamCancel({ endpoint, one, other }: Stage): Promise<void> {
  await one.open(endpoint, 'writer');
  await other.open(endpoint, 'reader');
  await one.write('s');
  await other.read('s', '');
  await one.send('before', []);
  expect((await other.nextOfStream()).subject).toBe('before');
  await other.cancel('s');
  await one.send('between', []);
  // The mail, sent later by the same peer, tells that the broker is through with `between`.
  await one.sendTo('reader', 'through', []);
  expect((await other.nextMail()).subject).toBe('through');
  await other.read('s', '');
  await one.send('after', []);
  expect((await other.nextOfStream()).subject).toBe('after');
}

async function mailOnline({ endpoint, one, other }: Stage): Promise<void> {
  await one.open(endpoint, 'alice');
  await other.open(endpoint, 'bob');
  for (const { subject, body } of everyMessage()) {
    await one.sendTo('bob', subject, body);
    expect(await other.nextMail()).toEqual(mail('alice', 'bob', subject, body));
  }
  await other.sendTo('alice', 'back', [Buffer.from('!')]);
  expect(await one.nextMail()).toEqual(mail('bob', 'alice', 'back', [Buffer.from('!')]));
}

async function mailOffline({ endpoint, one, other }: Stage): Promise<void> {
  await one.open(endpoint, 'alice');
  const numbers = Array.from({ length: MANY }, (_, n) => n);
  for (const n of numbers) await one.sendTo('bob', `n${n}`, [Buffer.from([n & 0xff])]);
  // What the sender gets back itself tells that the broker has all that came before.
  await one.sendTo('alice', 'through', []);
  await one.nextMail();
  await one.close();
  await other.open(endpoint, 'bob');
  for (const n of numbers) {
    expect(await other.nextMail()).toEqual(
      mail('alice', 'bob', `n${n}`, [Buffer.from([n & 0xff])]),
    );
  }
}

async function serviceReplies({ endpoint, one, other }: Stage): Promise<void> {
  await one.open(endpoint, 'asker');
  await other.open(endpoint, 'worker');
  await other.offer('shout', '', ({ address, sender, subject, body }) => {
    expect({ address, sender }).toEqual({ address: 'shout', sender: 'asker' });
    return [Buffer.from(subject), ...body];
  });
  for (const { subject, body } of everyMessage()) {
    const reply = await one.request('shout', subject, body);
    expect(reply).toEqual([Buffer.from(subject), ...body]);
  }
  const subjects = Array.from({ length: MANY }, (_, n) => `job${n}`);
  const replies = await Promise.all(subjects.map(async (name) => one.request('shout', name, [])));
  expect(replies).toEqual(subjects.map((name) => [Buffer.from(name)]));
}

async function serviceWaits({ endpoint, one, other }: Stage): Promise<void> {
  await one.open(endpoint, 'asker');
  const waiting = one.request('print', 'early', [Buffer.from('1')]);
  await other.open(endpoint, 'worker');
  await other.offer('print', '', ({ body }) => [Buffer.from('done'), ...body]);
  expect(await waiting).toEqual([Buffer.from('done'), Buffer.from('1')]);
}

async function serviceWaitsForMatch({ endpoint, one, other }: Stage): Promise<void> {
  await one.open(endpoint, 'asker');
  const colour = one.request('print', 'colour.1', []);
  const black = one.request('print', 'black.1', []);
  await other.open(endpoint, 'worker');
  const served: string[] = [];
  const work = ({ subject }: Delivery): Buffer[] => {
    served.push(subject);
    return [Buffer.from(`done ${subject}`)];
  };
  await other.offer('print', '^black', work);
  expect(await black).toEqual([Buffer.from('done black.1')]);
  expect(served).toEqual(['black.1']);
  await other.offer('print', '^colour', work);
  expect(await colour).toEqual([Buffer.from('done colour.1')]);
}

function everyMessage(): { subject: string; body: Buffer[] }[] {
  return [
    ...SUBJECTS.map((subject) => ({ subject, body: [Buffer.from('x')] })),
    ...BODIES.map((body, n) => ({ subject: `body.${n}`, body })),
  ];
}

function mail(sender: string, address: string, subject: string, body: Buffer[]): Delivery {
  return { address, sender, subject, body };
}
