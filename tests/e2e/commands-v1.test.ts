// The commands with a broker that speaks MLM/1 only, as the C original.
import type { Command } from '../../protocol/index.js';
import { startV1Peer, useCommands, type V1Peer } from './commands-support.js';

const commands = useCommands();

let peer: V1Peer;
afterEach(() => peer.close());

const names = (): string[] => peer.received.map(({ name }) => name);

const mail = (subject: string, tracker = ''): Command => ({
  name: 'MAILBOX DELIVER',
  sender: 'bob',
  address: 'alice',
  subject,
  tracker,
  content: [Buffer.from(`body of ${subject}`)],
});

it('mlm send ends when the broker has read the message', async () => {
  peer = await startV1Peer();
  const { code, stderr } = await commands.run(peer.endpoint, ['send', 's', 'subject', 'body']);
  expect([code, stderr]).toEqual([0, '']);
  expect(names()).toEqual(['CONNECTION OPEN', 'STREAM WRITE', 'STREAM SEND', 'CONNECTION CLOSE']);
  expect(peer.received[2]).toMatchObject({ subject: 'subject', content: [Buffer.from('body')] });
});

it('mlm mail ends when the broker has read the mail', async () => {
  peer = await startV1Peer();
  const { code, stderr } = await commands.run(peer.endpoint, ['mail', 'alice', 'subject', 'body']);
  expect([code, stderr]).toEqual([0, '']);
  expect(names()).toEqual(['CONNECTION OPEN', 'MAILBOX SEND', 'CONNECTION CLOSE']);
});

it('mlm inbox confirms nothing, and tells what it took and did not print', async () => {
  peer = await startV1Peer([mail('first', 'tracked'), mail('second'), mail('third')]);
  const { code, stdout, stderr } = await commands.run(peer.endpoint, ['inbox', 'alice', '-n', '1']);
  expect(stdout).toMatch(/^\S+ {2}bob {2}first {2}body of first\n$/);
  expect(stderr).toBe('mlm: 2 more messages had come out of the mailbox and went unread\n');
  expect(code).toBe(0);
  expect(names()).toEqual(['CONNECTION OPEN', 'CONNECTION CLOSE']);
});

it('mlm tail reads the stream', async () => {
  const message: Command = {
    name: 'STREAM DELIVER',
    address: 's',
    sender: 'bob',
    subject: 'news',
    content: [],
  };
  peer = await startV1Peer([message], 'STREAM READ');
  const { code, stdout } = await commands.run(peer.endpoint, ['tail', 's', '-n', '1', '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    time: expect.stringMatching(/Z$/) as string,
    stream: 's',
    sender: 'bob',
    subject: 'news',
    encoding: 'none',
    body: null,
  });
});
