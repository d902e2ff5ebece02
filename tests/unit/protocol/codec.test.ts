import { decode, encode, isFromClient, ProtocolError, trailer } from '../../../protocol/index.js';

function faultOf(action: () => unknown): ProtocolError {
  try {
    action();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('decode', () => {
  it.each([
    ['', 'truncated', 'offset 0'],
    ['aaa8', 'truncated', 'offset 0'],
    ['aaa902', 'signature', 'offset 0'],
    ['aaa800', 'unknown-command', 'offset 2'],
    ['aaa863', 'unknown-command', 'offset 2'],
    ['aaa805', 'truncated', 'STREAM WRITE.stream'],
    ['aaa805056162', 'truncated', 'STREAM WRITE.stream'],
    ['aaa81000', 'truncated', 'CREDIT.amount'],
    ['aaa809017a017300000000', 'truncated', 'MAILBOX SEND.timeout'],
    ['aaa80502c328', 'encoding', 'STREAM WRITE.stream'],
  ])('%s is refused as %s at %s', (hex, fault, where) => {
    expect(faultOf(() => decode([Buffer.from(hex, 'hex')]))).toMatchObject({ fault, where });
  });

  it('refuses a message without frames', () => {
    expect(faultOf(() => decode([])).fault).toBe('no-frame');
  });

  it('hands out the very content buffers it was given', () => {
    const body = Buffer.from('body');
    const command = decode([Buffer.from('id'), Buffer.from('aaa8070173', 'hex'), body], 1);
    expect(command).toMatchObject({ name: 'STREAM SEND', subject: 's' });
    expect('content' in command && command.content[0]).toBe(body);
  });

  it('ignores octets after the last field and can show them', () => {
    const frame = Buffer.from('aaa80278797a', 'hex');
    expect(decode([frame])).toEqual({ name: 'CONNECTION PING' });
    expect(trailer(frame).toString()).toBe('xyz');
  });

  it('keeps a replacement character that the sender really wrote', () => {
    const [frame] = encode({ name: 'STREAM WRITE', stream: 'a\ufffdb' });
    expect(decode([frame!])).toEqual({ name: 'STREAM WRITE', stream: 'a\ufffdb' });
  });
});

describe('encode', () => {
  it('names the field that does not fit', () => {
    const long = 'é'.repeat(128);
    const error = faultOf(() => encode({ name: 'STREAM READ', stream: 's', pattern: long }));
    expect(error.fault).toBe('too-long');
    expect(error.message).toContain('STREAM READ.pattern');
    expect(error.message).toContain('256');
  });

  it.each([-1, 1.5, 65536, NaN])('refuses the number %p', (amount) => {
    expect(faultOf(() => encode({ name: 'CREDIT', amount }))).toMatchObject({
      fault: 'range',
      where: 'CREDIT.amount',
    });
  });

  it('refuses a field that is missing', () => {
    const broken = { name: 'STREAM WRITE' } as unknown as Parameters<typeof encode>[0];
    expect(faultOf(() => encode(broken)).where).toBe('STREAM WRITE.stream');
  });
});

it('knows who may send what', () => {
  expect(isFromClient('STREAM SEND')).toBe(true);
  expect(isFromClient('CONFIRM')).toBe(true);
  expect(isFromClient('CONNECTION PONG')).toBe(false);
});
