// The engines against simple models: a whole broker without sockets, on a store
// that is slow, fails, and outlives the broker; clients of both kinds that come,
// go, take over, and do what they like. Whatever happens, and in whatever order:
// what was accepted is delivered, in its order, to one at a time, and ends once.
import fc from 'fast-check';
import {
  BOXES,
  READERS,
  Run,
  SENDERS,
  SERVICES,
  STREAMS,
  WORKERS,
  type RunOptions,
} from './engines-run.js';

/** `MLM_PROPERTY_RUNS=20` plays twenty times as many histories. */
const TIMES = Number(process.env['MLM_PROPERTY_RUNS'] ?? 1);
const EVERYBODY = [...BOXES, ...WORKERS, ...READERS, ...SENDERS];
const PATIENCE_MS = 300_000 * TIMES;

const which = fc.nat(20);
const native = fc.constantFrom(true, true, false);
const anybody = fc.constantFrom(...EVERYBODY);
const subject = fc.constantFrom('p', 'q', 'pq');
const pattern = fc.constantFrom('', 'p', '^q', 'q$');
const timeout = fc.constantFrom(0, 0, 0, 0, 50, 400);

const operations = {
  open: fc.record({ address: anybody, native }),
  close: fc.record({ addresses: anybody.map((one) => [one]), which }),
  vanish: fc.record({ addresses: anybody.map((one) => [one]), which }),
  mail: fc.record({
    address: fc.constantFrom(...BOXES),
    count: fc.integer({ min: 1, max: 4 }),
    timeout,
    which,
  }),
  request: fc.record({
    service: fc.constantFrom(...SERVICES),
    subject,
    count: fc.integer({ min: 1, max: 4 }),
    timeout,
    priority: fc.constantFrom(0, 0, 5, 9),
    delay: fc.constantFrom(0, 0, 0, 60, 500),
    which,
  }),
  offer: fc.record({
    service: fc.constantFrom(...SERVICES),
    pattern,
    capacity: fc.integer({ min: 1, max: 3 }),
    which,
  }),
  withdraw: fc.record({ service: fc.constantFrom(...SERVICES), which }),
  grantMail: fc.record({ amount: fc.integer({ min: 1, max: 5 }), which }),
  confirm: fc.record({ code: fc.constantFrom(200, 200, 300, 300, 400, 503), which, whose: which }),
  stale: fc.record({ again: fc.boolean(), which, whose: which }),
  publish: fc.record({
    stream: fc.constantFrom(...STREAMS),
    subjects: fc.array(subject, { minLength: 1, maxLength: 12 }),
    which,
  }),
  read: fc.record({
    stream: fc.constantFrom(...STREAMS),
    pattern,
    own: fc.boolean(),
    cursor: fc.constantFrom(undefined, undefined, 'c', 'd'),
    from: fc.constantFrom<unknown>(
      'new',
      'earliest',
      { last: 3 },
      { sequence: 0 },
      { sequence: 2 },
    ),
    credit: fc.constantFrom(0, 3, 1000),
    which,
  }),
  go: fc.record({
    what: fc.constantFrom('grant', 'grant', 'confirm', 'cancel'),
    amount: which,
    which,
  }),
  pipe: fc.record({ messages: fc.constantFrom(0, 1, 3, Infinity, Infinity), which }),
  pass: fc.constantFrom(1, 10, 70, 300, 1100),
  disk: fc.constantFrom('quick', 'slow', 'full', 'free'),
  restart: fc.constantFrom('killed', 'killed, the commit under way written', 'stopped'),
} as const;

type Operations = typeof operations;
type Operation = {
  [Name in keyof Operations]: {
    name: Name;
    with: Operations[Name] extends fc.Arbitrary<infer Value> ? Value : never;
  };
}[keyof Operations];

/** How often each is chosen. */
type Weights = Partial<Record<keyof Operations, number>>;

const KEPT: Weights = {
  ...{ open: 5, close: 2, vanish: 2, mail: 8, request: 10, offer: 7, withdraw: 1, grantMail: 4 },
  ...{ confirm: 12, stale: 2, pass: 5, disk: 3, restart: 1 },
};
const STREAMED: Weights = {
  ...{ open: 4, close: 1, vanish: 1, publish: 10, read: 6, go: 8, pipe: 3, pass: 3 },
  ...{ disk: 2, restart: 1 },
};

function history(weights: Weights): fc.Arbitrary<Operation[]> {
  const chosen = (Object.entries(weights) as [keyof Operations, number][]).map(
    ([name, weight]) => ({
      weight,
      arbitrary: (operations[name] as fc.Arbitrary<unknown>).map(
        (value) => ({ name, with: value }) as Operation,
      ),
    }),
  );
  return fc.array(fc.oneof(...chosen), { minLength: 1, maxLength: 80, size: 'max' });
}

async function play(run: Run, operation: Operation): Promise<void> {
  switch (operation.name) {
    case 'open':
      run.open(operation.with.address, operation.with.native);
      break;
    case 'close':
      run.close(operation.with.addresses, operation.with.which);
      break;
    case 'vanish':
      await run.vanish(operation.with.addresses, operation.with.which);
      break;
    case 'mail':
      run.mail(operation.with.address, operation.with.count, operation.with, operation.with.which);
      break;
    case 'request': {
      const { service, subject: about, count, which: by } = operation.with;
      run.request(service, about, count, operation.with, by);
      break;
    }
    case 'offer': {
      const { service, pattern: source, capacity, which: by } = operation.with;
      run.offer(service, source, capacity, by);
      break;
    }
    case 'withdraw':
      run.withdraw(operation.with.service, operation.with.which);
      break;
    case 'grantMail':
      run.grantMail(operation.with.amount, operation.with.which);
      break;
    case 'confirm':
      run.confirm(operation.with.code, operation.with.which, operation.with.whose);
      break;
    case 'stale':
      run.confirmStale(operation.with.again, operation.with.which, operation.with.whose);
      break;
    case 'publish':
      await run.publish(operation.with.stream, operation.with.subjects, operation.with.which);
      break;
    case 'read': {
      const { from, credit, which: by, pattern: source, ...fields } = operation.with;
      run.read({ ...fields, pattern: new RegExp(source) }, from, credit, by);
      break;
    }
    case 'go':
      run.go(operation.with.what, operation.with.amount, operation.with.which);
      break;
    case 'pipe':
      await run.pipe(operation.with.messages, operation.with.which);
      break;
    case 'pass':
      run.pass(operation.with);
      break;
    case 'disk':
      run.disk(operation.with);
      break;
    case 'restart':
      await run.restart(operation.with);
  }
  await run.settle();
}

const LIMITS: RunOptions = {
  attemptsMax: 3,
  mailboxMessagesMax: 1000,
  serviceMessagesMax: 1000,
  streamBytes: 64 * 1024 * 1024,
  bodyBytes: 0,
  mayMiss: false,
};

async function holds(weights: Weights, limits: RunOptions, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(history(weights), async (played) => {
      const run = new Run(limits);
      await run.start();
      try {
        for (const address of EVERYBODY) run.open(address, true);
        await run.settle();
        for (const operation of played) await play(run, operation);
        await run.finish();
      } finally {
        await run.stop();
      }
    }),
    { numRuns: numRuns * TIMES, timeout: 30_000 },
  );
}

it('mail and requests', async () => holds(KEPT, LIMITS, 60), PATIENCE_MS);

it(
  'mail and requests beyond the limits',
  async () => holds(KEPT, { ...LIMITS, mailboxMessagesMax: 4, serviceMessagesMax: 5 }, 20),
  PATIENCE_MS,
);

it('streams', async () => holds(STREAMED, LIMITS, 50), PATIENCE_MS);

it(
  'streams whose retention removes what was not read',
  async () =>
    holds(STREAMED, { ...LIMITS, streamBytes: 64 * 1024, bodyBytes: 6000, mayMiss: true }, 25),
  PATIENCE_MS,
);

it('everything at once', async () => holds({ ...STREAMED, ...KEPT }, LIMITS, 20), PATIENCE_MS);
