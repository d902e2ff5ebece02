import {
  environmentName,
  limitsOf,
  OptionError,
  OPTIONS,
  resolveOptions,
  type OptionName,
  type OptionSources,
} from '../../../broker/options.js';

const names = Object.keys(OPTIONS) as OptionName[];

function messageOf(sources: OptionSources): string {
  try {
    resolveOptions(sources);
  } catch (error) {
    if (error instanceof OptionError) return error.message;
    throw error;
  }
  throw new Error('the options were taken');
}

function file(values: Record<string, unknown>): OptionSources {
  return { file: { path: '/etc/broker.yaml', values } };
}

it('has defaults that pass its own checks', () => {
  const defaults = resolveOptions({});
  expect(defaults.bind).toEqual(['tcp://127.0.0.1:9999']);
  const given = Object.entries(defaults).filter(([, value]) => value !== undefined);
  expect(resolveOptions({ flags: Object.fromEntries(given) })).toEqual(defaults);
});

it('takes a flag before the environment before the file before the default', () => {
  const sources = {
    flags: { timeout: '1000' } as Record<string, unknown>,
    environment: { MLM_TIMEOUT: '2000' } as Record<string, string>,
    ...file({ timeout: 3000 }),
  };
  expect(resolveOptions(sources).timeout).toBe(1000);
  expect(resolveOptions({ ...sources, flags: {} }).timeout).toBe(2000);
  expect(resolveOptions({ ...sources, flags: {}, environment: {} }).timeout).toBe(3000);
  expect(resolveOptions({}).timeout).toBe(10_000);
});

it('an empty variable is as good as none', () => {
  const environment = { MLM_TIMEOUT: '', MLM_BIND: '' };
  expect(resolveOptions({ environment, ...file({ timeout: 3000 }) })).toMatchObject({
    timeout: 3000,
    bind: ['tcp://127.0.0.1:9999'],
  });
});

it.each([
  ['a flag', { flags: { timeout: 'soon' } }, '--timeout'],
  ['the environment', { environment: { MLM_TIMEOUT: 'soon' } }, 'MLM_TIMEOUT'],
  ['the file', file({ timeout: 'soon' }), 'timeout in /etc/broker.yaml'],
])('a bad value in %s is named with its source, value and bounds', (_, sources, source) => {
  const message = messageOf(sources);
  expect(message.startsWith(source)).toBe(true);
  for (const part of ['"soon"', '100', '86400000']) expect(message).toContain(part);
});

it('the strongest source is the one that is checked', () => {
  const sources = { flags: { timeout: 500 }, environment: { MLM_TIMEOUT: 'soon' } };
  expect(resolveOptions(sources).timeout).toBe(500);
});

it.each(names.filter((name) => OPTIONS[name].type === 'integer'))(
  '%s takes its bounds and nothing beyond them',
  (name) => {
    const { min, max } = OPTIONS[name] as { min: number; max: number };
    for (const value of [min, max, String(min)]) {
      expect(resolveOptions({ flags: { [name]: value } })[name]).toBe(Number(value));
    }
    const beyond = [min - 1, max < Number.MAX_SAFE_INTEGER ? max + 1 : 2 ** 60];
    for (const value of [...beyond, min + 0.5, '', ' ', 'x', null, true, [], {}, NaN]) {
      expect(messageOf({ flags: { [name]: value } })).toContain(`--${name}: `);
      expect(messageOf(file({ [name]: value }))).toContain(`${name} in /etc/broker.yaml: `);
    }
  },
);

it.each([
  ['tcp://127.0.0.1:1', ['tcp://127.0.0.1:1']],
  ['tcp://127.0.0.1:1 ipc:///run/mlm', ['tcp://127.0.0.1:1', 'ipc:///run/mlm']],
  [' tcp://127.0.0.1:1, ipc:///run/mlm ', ['tcp://127.0.0.1:1', 'ipc:///run/mlm']],
])('a list in the environment: "%s"', (value, bind) => {
  expect(resolveOptions({ environment: { MLM_BIND: value } }).bind).toEqual(bind);
});

it.each([[[]], [['']], ['  '], [','], [[7]], [{}], [null]])(
  'not a list of endpoints: %j',
  (bind) => {
    expect(messageOf(file({ bind }))).toContain('bind in /etc/broker.yaml: ');
  },
);

it('one endpoint in a file need not be a list', () => {
  expect(resolveOptions(file({ bind: 'ipc:///run/mlm' })).bind).toEqual(['ipc:///run/mlm']);
});

it.each([
  [true, true],
  ['true', true],
  ['1', true],
  [false, false],
  ['false', false],
  ['0', false],
])('%j is %s', (value, ephemeral) => {
  expect(resolveOptions({ flags: { ephemeral: value } }).ephemeral).toBe(ephemeral);
});

it.each(['yes', '', 2, null, []])('%j is neither true nor false', (value) => {
  expect(messageOf({ flags: { ephemeral: value } })).toContain('--ephemeral: ');
});

it('a choice that is none names those that are', () => {
  const message = messageOf({ environment: { MLM_LOG_LEVEL: 'loud' } });
  expect(message).toBe('MLM_LOG_LEVEL: "loud" is not one of error, warn, info, debug');
});

it.each(['tiemout', 'toString', 'constructor', '__proto__', 'TIMEOUT', 'mailbox_bytes_max'])(
  'a key of the file that is no option is named: %s',
  (key) => {
    const values = JSON.parse(`{ ${JSON.stringify(key)}: 1 }`) as Record<string, unknown>;
    const message = messageOf(file(values));
    expect(message).toContain(`/etc/broker.yaml: there is no option "${key}"`);
    expect(message).toMatch(/did you mean|mailbox-bytes-max/);
  },
);

it.each([
  ['tiemout', 'timeout'],
  ['mailbox_bytes_max', 'mailbox-bytes-max'],
  ['log', 'log-level'],
])('a key that is nearly an option is told which: %s', (key, meant) => {
  expect(messageOf(file({ [key]: 1 }))).toContain(`; did you mean ${meant}?`);
});

it.each([
  ['nonsense', 'write tcp://ADDRESS:PORT or ipc://PATH'],
  ['tcp://127.0.0.1', 'write tcp://ADDRESS:PORT or ipc://PATH'],
  ['tcp://127.0.0.1:90 90', 'write tcp://ADDRESS:PORT or ipc://PATH'],
  ['ipc://', 'write tcp://ADDRESS:PORT or ipc://PATH'],
  ['tcp://127.0.0.1:65536', 'a port is a number from 1 to 65535'],
  [`ipc:///${'x'.repeat(103)}`, "takes 104 octets, a local socket's takes 103"],
])('%s is no endpoint, and it is said why', (endpoint, why) => {
  const message = messageOf({ flags: { bind: [endpoint] } });
  expect(message).toContain(`--bind: cannot listen on ${endpoint}: `);
  expect(message).toContain(why);
});

it('an endpoint that stands there twice is named; a port to be picked may', () => {
  const [one, any] = ['tcp://127.0.0.1:9999', 'tcp://127.0.0.1:*'];
  expect(messageOf({ environment: { MLM_BIND: `${one},${one}` } })).toBe(
    `MLM_BIND: ${one} stands there twice; name each endpoint once`,
  );
  expect(resolveOptions({ flags: { bind: [any, any] } }).bind).toEqual([any, any]);
});

it('an option that is given twice is named', () => {
  expect(messageOf({ flags: { timeout: ['500', '600'] } })).toBe('--timeout: give it once');
});

it('names variables after options', () => {
  expect(environmentName('mailbox-bytes-max')).toBe('MLM_MAILBOX_BYTES_MAX');
  expect(new Set(names.map(environmentName)).size).toBe(names.length);
});

it('every option says what it is for', () => {
  for (const name of names) expect(OPTIONS[name].about.length).toBeGreaterThan(5);
});

it('every limit is the option that its name says', () => {
  const limits = resolveOptions({
    flags: {
      'mailbox-bytes-max': 2001,
      'mailbox-messages-max': 2002,
      'service-bytes-max': 2003,
      'service-messages-max': 2004,
      'outbox-bytes-max': 2005,
      'outbox-messages-max': 2006,
      'stream-bytes-max': 65_537,
      'kept-bytes-max': 2008,
      'message-bytes-max': 2009,
      'sessions-max': 2010,
      'subscriptions-max': 2011,
      'patterns-max': 2012,
      'streams-max': 2013,
      'mailboxes-max': 2014,
      'services-max': 2015,
    },
  });
  expect(limitsOf(limits)).toMatchObject({
    mailbox: { bytesMax: 2001, messagesMax: 2002 },
    service: { bytesMax: 2003, messagesMax: 2004 },
    outbox: { bytesMax: 2005, messagesMax: 2006 },
    stream: { bytesMax: 65_537 },
    keptBytesMax: 2008,
    messageBytesMax: 2009,
    sessionsMax: 2010,
    subscriptionsMax: 2011,
    patternsMax: 2012,
    streamsMax: 2013,
    mailboxesMax: 2014,
    servicesMax: 2015,
  });
});
