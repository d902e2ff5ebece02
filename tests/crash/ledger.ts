// What those who live through the crashes saw: what was confirmed to them and
// what they were given. It is filled by the actors of this process and from the
// journals of the others, and judges nothing.

/** One reader from its birth, or its session, to its end: what it read, in order. */
export interface ReadLife {
  /** The sequence of the first message; the others follow without a hole. */
  first: number;
  readonly subjects: string[];
}

export interface Ledger {
  /** Stream messages that were confirmed: `writer/number` to sequence. */
  readonly stored: Map<string, number>;
  /** What was read with each cursor, life after life. */
  readonly read: Map<string, ReadLife[]>;
  readonly mailAccepted: Set<string>;
  /** How often each mail was received, and each request handled. */
  readonly mailDone: Map<string, number>;
  readonly requestsAccepted: Set<string>;
  readonly requestsDone: Map<string, number>;
  /** Requests whose reply came. */
  readonly answered: Set<string>;
  /** Jobs that were accepted, by id. */
  readonly jobsAccepted: Set<string>;
  /** What went wrong in a client, in words. */
  readonly faults: string[];
  /** Sessions that were opened by the actors of this process. */
  sessions: number;
}

export function newLedger(): Ledger {
  return {
    stored: new Map(),
    read: new Map(),
    mailAccepted: new Set(),
    mailDone: new Map(),
    requestsAccepted: new Set(),
    requestsDone: new Map(),
    answered: new Set(),
    jobsAccepted: new Set(),
    faults: [],
    sessions: 0,
  };
}

/** Begins a new life of a reader. */
export function newReadLife(ledger: Ledger, cursor: string): ReadLife {
  const life: ReadLife = { first: 0, subjects: [] };
  const lives = ledger.read.get(cursor) ?? [];
  lives.push(life);
  ledger.read.set(cursor, lives);
  return life;
}

/** Notes messages that were read one after the other. */
export function noteRead(
  ledger: Ledger,
  life: ReadLife,
  first: number,
  subjects: readonly string[],
): void {
  if (life.subjects.length === 0) life.first = first;
  const due = life.first + life.subjects.length;
  if (first !== due) ledger.faults.push(`a reader was given ${first} where ${due} was due`);
  life.subjects.push(...subjects);
}

export function count(times: Map<string, number>, subject: string): void {
  times.set(subject, (times.get(subject) ?? 0) + 1);
}

/**
 * Adds what a process has written into its journal, one event to a line. Each
 * process writes what it was given before it confirms it; a line without an end
 * was cut off by its death, and says nothing.
 *
 * @param name the address of the process; a reader's is also its cursor
 */
export function addJournal(ledger: Ledger, name: string, text: string): void {
  let life: ReadLife | undefined;
  for (const line of text.split('\n').slice(0, -1)) {
    const [event = '', ...words] = line.split(' ');
    switch (event) {
      case 'stored':
        ledger.stored.set(words[0] ?? '', Number(words[1]));
        break;
      case 'read': {
        const [first, ...subjects] = words;
        life ??= newReadLife(ledger, name);
        noteRead(ledger, life, Number(first), subjects);
        break;
      }
      case 'mailed':
        ledger.mailAccepted.add(words[0] ?? '');
        break;
      case 'received':
        count(ledger.mailDone, words[0] ?? '');
        break;
      case 'requested':
        ledger.requestsAccepted.add(words[0] ?? '');
        break;
      case 'handled':
        count(ledger.requestsDone, words[0] ?? '');
        break;
      case 'answered':
        ledger.answered.add(words[0] ?? '');
        break;
      case 'fault':
        ledger.faults.push(`${name}: ${words.join(' ')}`);
        break;
      case 'finished':
        break;
      default:
        throw new Error(`the journal of ${name} has the line "${line}"`);
    }
  }
}
