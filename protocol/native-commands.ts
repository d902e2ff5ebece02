// The command table of native sessions: what our own peers say to each other
// once OPEN and OK have agreed on it. Many commands travel in one ZeroMQ
// message. The codec (batch-writer.ts, batch-reader.ts), the types and
// docs/protocol.md follow from this table.

/**
 * How a field lies in a command's payload.
 * - `u8`, `u16`, `u32`, `u64`: unsigned, big-endian; a `u64` stays below 2^53
 * - `string`: one length octet and that many bytes of UTF-8
 * - `packed`: u16 octets + MessagePack; no octets for nothing
 * - `map`: MessagePack, all of the rest
 * - `sections`: stream messages as records.ts lays them out, all of the rest
 * - `frames`: content frames, all of the rest: each u32 octets + octets
 */
export type NativeFieldType =
  'u8' | 'u16' | 'u32' | 'u64' | 'string' | 'packed' | 'map' | 'sections' | 'frames';

interface NativeRow {
  readonly id: number;
  readonly from: 'client' | 'broker' | 'both';
  readonly fields: Readonly<Record<string, NativeFieldType>>;
}

export const NATIVE_COMMANDS = {
  /** A numbered question; the method says what the map holds. */
  CALL: { id: 1, from: 'client', fields: { call: 'u32', method: 'string', arguments: 'map' } },
  /** Messages to a stream; each counts as one sending. Sequences and times are the broker's to fill in. */
  'STREAM SEND': { id: 2, from: 'client', fields: { handle: 'u32', sections: 'sections' } },
  /** Mail; counts as one sending. */
  'MAILBOX SEND': {
    id: 3,
    from: 'client',
    fields: {
      address: 'string',
      subject: 'string',
      tracker: 'string',
      timeout: 'u32',
      content: 'frames',
    },
  },
  /**
   * A request; counts as one sending. `job` is 1 for one whose life is written to the
   * stream `$jobs`, with the tracker as its id.
   */
  'SERVICE SEND': {
    id: 4,
    from: 'client',
    fields: {
      address: 'string',
      subject: 'string',
      tracker: 'string',
      timeout: 'u32',
      priority: 'u8',
      delay: 'u32',
      deadline: 'u32',
      job: 'u8',
      key: 'string',
      wants: 'packed',
      content: 'frames',
    },
  },
  /** The receiver has done with a delivery, or gives it up. */
  'CONFIRM DELIVERY': {
    id: 5,
    from: 'client',
    fields: { delivery: 'u64', epoch: 'u32', statusCode: 'u16', statusReason: 'string' },
  },
  /** A reader with a cursor has done with everything up to this sequence. */
  'CONFIRM CURSOR': { id: 6, from: 'client', fields: { handle: 'u32', sequence: 'u64' } },
  /** More deliveries may be sent; `handle` names a reader, and is 0 for mail. */
  CREDIT: { id: 7, from: 'client', fields: { handle: 'u32', amount: 'u32' } },
  PING: { id: 8, from: 'client', fields: {} },
  /** One message to a stream, unless one with this id came before; counts as one sending. */
  'STREAM SEND ONCE': {
    id: 9,
    from: 'client',
    fields: { handle: 'u32', id: 'string', sections: 'sections' },
  },
  /** The worker still works on a delivery: its lease begins anew. */
  EXTEND: { id: 10, from: 'client', fields: { delivery: 'u64', epoch: 'u32' } },
  /** How far the worker is (kind 1), or a part of the result (kind 2): for whoever asked. */
  PROGRESS: {
    id: 11,
    from: 'client',
    fields: { delivery: 'u64', epoch: 'u32', kind: 'u8', content: 'frames' },
  },
  /** The worker has done with a request, and this is the reply. */
  REPLY: { id: 12, from: 'client', fields: { delivery: 'u64', epoch: 'u32', content: 'frames' } },

  RESULT: {
    id: 129,
    from: 'broker',
    fields: { call: 'u32', statusCode: 'u16', statusReason: 'string', value: 'map' },
  },
  /** Every sending up to this number was accepted, or refused by name. */
  ACCEPTED: { id: 130, from: 'broker', fields: { upTo: 'u64' } },
  REFUSED: {
    id: 131,
    from: 'broker',
    fields: { first: 'u64', count: 'u32', statusCode: 'u16', statusReason: 'string' },
  },
  /** Sendings to a stream got these sequences, one after another. */
  STORED: { id: 132, from: 'broker', fields: { first: 'u64', count: 'u32', sequence: 'u64' } },
  'STREAM DELIVER': { id: 133, from: 'broker', fields: { handle: 'u32', sections: 'sections' } },
  /** A reader will not get these messages: they are no longer there. */
  GAP: {
    id: 134,
    from: 'broker',
    fields: { handle: 'u32', first: 'u64', last: 'u64', reason: 'string' },
  },
  'MAILBOX DELIVER': {
    id: 135,
    from: 'broker',
    fields: {
      delivery: 'u64',
      epoch: 'u32',
      attempt: 'u16',
      timeMs: 'u64',
      sender: 'string',
      subject: 'string',
      tracker: 'string',
      content: 'frames',
    },
  },
  'SERVICE DELIVER': {
    id: 136,
    from: 'broker',
    fields: {
      delivery: 'u64',
      epoch: 'u32',
      attempt: 'u16',
      timeMs: 'u64',
      address: 'string',
      sender: 'string',
      subject: 'string',
      tracker: 'string',
      content: 'frames',
    },
  },
  /** What became of a tracked message, as CONFIRM in MLM/1. */
  CONFIRM: {
    id: 137,
    from: 'broker',
    fields: { tracker: 'string', statusCode: 'u16', statusReason: 'string' },
  },
  PONG: { id: 138, from: 'broker', fields: {} },
  /** A delivery is not the worker's any more: another one has it, or nobody wants it. */
  REVOKED: {
    id: 139,
    from: 'broker',
    fields: { delivery: 'u64', epoch: 'u32', statusCode: 'u16', statusReason: 'string' },
  },
  /** What a worker said by PROGRESS about a request of this client. */
  PROGRESSED: {
    id: 140,
    from: 'broker',
    fields: { tracker: 'string', kind: 'u8', content: 'frames' },
  },
} as const satisfies Record<string, NativeRow>;

type Table = typeof NATIVE_COMMANDS;
type ValueOf<Type extends NativeFieldType> = Type extends 'string'
  ? string
  : Type extends 'map' | 'packed'
    ? unknown
    : Type extends 'sections'
      ? Buffer
      : Type extends 'frames'
        ? readonly Buffer[]
        : number;

export type NativeCommandName = keyof Table;

/** One native command as a value. */
export type NativeCommand<Name extends NativeCommandName = NativeCommandName> = {
  [N in Name]: { name: N } & {
    -readonly [Field in keyof Table[N]['fields']]: Table[N]['fields'][Field] extends NativeFieldType
      ? ValueOf<Table[N]['fields'][Field]>
      : never;
  };
}[Name];

export type NativeClientCommandName = {
  [N in NativeCommandName]: Table[N]['from'] extends 'client' | 'both' ? N : never;
}[NativeCommandName];

export type NativeBrokerCommandName = {
  [N in NativeCommandName]: Table[N]['from'] extends 'broker' | 'both' ? N : never;
}[NativeCommandName];

/** True where a client may send this command. */
export function isFromNativeClient(name: NativeCommandName): name is NativeClientCommandName {
  return NATIVE_COMMANDS[name].from === 'client';
}

/** The version of this table; OPEN and OK name it. */
export const NATIVE_VERSION = 1;

/** A request without anything special, to be spread under what is. */
export const PLAIN_REQUEST = {
  name: 'SERVICE SEND',
  subject: '',
  tracker: '',
  timeout: 0,
  priority: 0,
  delay: 0,
  deadline: 0,
  job: 0,
  key: '',
  wants: undefined,
  content: [],
} as const satisfies Omit<NativeCommand<'SERVICE SEND'>, 'address'>;

/**
 * How many ids of one sender a broker remembers for one stream, at least, as
 * long as it has room: what a client sends again is among its last so many.
 */
export const IDS_REMEMBERED = 10_000;

/** Octets of the version under which a worker has its results kept, at most. */
export const CACHE_VERSION_BYTES_MAX = 191;

/** What PROGRESS and PROGRESSED are about. */
export const PROGRESS_KIND = { progress: 1, partial: 2 } as const;
