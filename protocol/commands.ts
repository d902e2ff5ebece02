// The command table of MLM/1: every command's number, who sends it and its
// fields in wire order. The codec, the types and the documentation of the wire
// follow from this table; nothing else in the project knows a command number.
//
// Source: mlm_proto.xml of Malamute 1.2.0, checked against the frames that the
// C codec wrote (tests/fixtures/frames.json).

/**
 * How a field lies on the wire.
 * - `string`: one length octet and that many bytes of UTF-8 (255 at most)
 * - `number-2`, `number-4`: unsigned, big-endian
 */
export type FieldType = 'string' | 'number-2' | 'number-4';

/** One row of the table. `content` says that all following frames are the body. */
interface CommandRow {
  readonly id: number;
  readonly from: 'client' | 'broker' | 'both';
  readonly fields: Readonly<Record<string, FieldType>>;
  readonly content: boolean;
}

export const COMMANDS = {
  'CONNECTION OPEN': {
    id: 1,
    from: 'client',
    fields: { protocol: 'string', version: 'number-2', address: 'string' },
    content: false,
  },
  'CONNECTION PING': { id: 2, from: 'client', fields: {}, content: false },
  'CONNECTION PONG': { id: 3, from: 'broker', fields: {}, content: false },
  'CONNECTION CLOSE': { id: 4, from: 'client', fields: {}, content: false },
  'STREAM WRITE': { id: 5, from: 'client', fields: { stream: 'string' }, content: false },
  'STREAM READ': {
    id: 6,
    from: 'client',
    fields: { stream: 'string', pattern: 'string' },
    content: false,
  },
  'STREAM SEND': { id: 7, from: 'client', fields: { subject: 'string' }, content: true },
  'STREAM DELIVER': {
    id: 8,
    from: 'broker',
    fields: { address: 'string', sender: 'string', subject: 'string' },
    content: true,
  },
  'MAILBOX SEND': {
    id: 9,
    from: 'client',
    fields: { address: 'string', subject: 'string', tracker: 'string', timeout: 'number-4' },
    content: true,
  },
  'MAILBOX DELIVER': {
    id: 10,
    from: 'broker',
    fields: { sender: 'string', address: 'string', subject: 'string', tracker: 'string' },
    content: true,
  },
  'SERVICE SEND': {
    id: 11,
    from: 'client',
    fields: { address: 'string', subject: 'string', tracker: 'string', timeout: 'number-4' },
    content: true,
  },
  'SERVICE OFFER': {
    id: 12,
    from: 'client',
    fields: { address: 'string', pattern: 'string' },
    content: false,
  },
  'SERVICE DELIVER': {
    id: 13,
    from: 'broker',
    fields: { sender: 'string', address: 'string', subject: 'string', tracker: 'string' },
    content: true,
  },
  OK: {
    id: 14,
    from: 'broker',
    fields: { statusCode: 'number-2', statusReason: 'string' },
    content: false,
  },
  ERROR: {
    id: 15,
    from: 'broker',
    fields: { statusCode: 'number-2', statusReason: 'string' },
    content: false,
  },
  CREDIT: { id: 16, from: 'client', fields: { amount: 'number-2' }, content: false },
  CONFIRM: {
    id: 17,
    from: 'both',
    fields: { tracker: 'string', statusCode: 'number-2', statusReason: 'string' },
    content: false,
  },
  'STREAM CANCEL': { id: 18, from: 'client', fields: { stream: 'string' }, content: false },
} as const satisfies Record<string, CommandRow>;

type Table = typeof COMMANDS;
type ValueOf<Type extends FieldType> = Type extends 'string' ? string : number;
type FieldsOf<Name extends CommandName> = {
  -readonly [Field in keyof Table[Name]['fields']]: Table[Name]['fields'][Field] extends FieldType
    ? ValueOf<Table[Name]['fields'][Field]>
    : never;
};

/** The name of one of the 18 commands, as the protocol text spells it. */
export type CommandName = keyof Table;

/**
 * One command as a value: its name, its fields and, where the command carries
 * content, the frames of the body (zero or more; each any bytes).
 */
export type Command<Name extends CommandName = CommandName> = {
  [N in Name]: { name: N } & FieldsOf<N> &
    (Table[N]['content'] extends true ? { content: Buffer[] } : unknown);
}[Name];

/** A command without its content: what frame 0 holds. */
export type CommandHeader = {
  [N in CommandName]: { name: N } & FieldsOf<N>;
}[CommandName];

/** The commands that a client may send. */
export type ClientCommandName = {
  [N in CommandName]: Table[N]['from'] extends 'client' | 'both' ? N : never;
}[CommandName];

/** The commands that a broker may send. */
export type BrokerCommandName = {
  [N in CommandName]: Table[N]['from'] extends 'broker' | 'both' ? N : never;
}[CommandName];

/** True where the table lets a client send this command. */
export function isFromClient(name: CommandName): name is ClientCommandName {
  return COMMANDS[name].from !== 'broker';
}

/** What CONNECTION OPEN must say. */
export const PROTOCOL_NAME = 'MALAMUTE';
export const PROTOCOL_VERSION = 1;
