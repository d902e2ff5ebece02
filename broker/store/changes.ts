// Changes to the tables of a database, and a group of them as octets: what the
// commit log holds of a commit until the database has it.
//
//   group:   changes, one after the other
//   change:  u8 table | u16 octets of key | u32 octets of value, or ffffffff for
//            a key that goes | key | value

/** The tables, by the number that stands for each in a group. */
export const TABLES = ['logs', 'streams', 'kept', 'documents'] as const;
export type TableName = (typeof TABLES)[number];

/** One change: a value to put, or a key to remove. */
export interface Change {
  readonly table: TableName;
  readonly key: Buffer;
  readonly value: Buffer | undefined;
}

const HEAD_BYTES = 7;
const REMOVED = 0xffffffff;

/** What changes add, in octets, and whether they remove something. */
export function sizeOf(changes: Iterable<Change>): { bytes: number; removes: boolean } {
  let bytes = 0;
  let removes = false;
  for (const { value } of changes) {
    if (value === undefined) removes = true;
    else bytes += value.length;
  }
  return { bytes, removes };
}

/** Octets that a group of changes takes. */
export function groupBytes(changes: readonly Change[]): number {
  let bytes = 0;
  for (const { key, value } of changes) bytes += HEAD_BYTES + key.length + (value?.length ?? 0);
  return bytes;
}

/** Tells keys apart, of all tables. */
export function keyOf({ table, key }: Pick<Change, 'table' | 'key'>): string {
  return `${table} ${key.toString('latin1')}`;
}

/**
 * A group as octets.
 *
 * @param size what `groupBytes` says of the changes
 * @returns them, and the same changes again, whose blocks are parts of these octets: whatever
 *   larger memory the given ones were parts of is not needed any more
 */
export function encodeGroup(
  changes: readonly Change[],
  size: number,
): { bytes: Buffer; changes: Change[] } {
  const bytes = Buffer.allocUnsafeSlow(size);
  const own: Change[] = [];
  let at = 0;
  for (const change of changes) {
    const { table, key, value } = change;
    bytes[at] = TABLES.indexOf(table);
    bytes.writeUInt16BE(key.length, at + 1);
    bytes.writeUInt32BE(value?.length ?? REMOVED, at + 3);
    at += HEAD_BYTES;
    at += key.copy(bytes, at);
    const start = at;
    if (value !== undefined) at += value.copy(bytes, at);
    own.push(
      table === 'logs' && value !== undefined
        ? { table, key, value: bytes.subarray(start, at) }
        : change,
    );
  }
  return { bytes, changes: own };
}

/**
 * Reads what `encodeGroup` wrote; keys and values are parts of the octets.
 *
 * @throws {RangeError} where they are not a group of this version
 */
export function decodeGroup(bytes: Buffer): Change[] {
  const changes: Change[] = [];
  for (let at = 0; at < bytes.length;) {
    const table = TABLES[bytes[at] ?? TABLES.length];
    if (table === undefined) throw new RangeError('a change to a table that there is not');
    const keyEnd = at + HEAD_BYTES + bytes.readUInt16BE(at + 1);
    const length = bytes.readUInt32BE(at + 3);
    const end = length === REMOVED ? keyEnd : keyEnd + length;
    if (end > bytes.length) throw new RangeError('a change that ends behind its group');
    const value = length === REMOVED ? undefined : bytes.subarray(keyEnd, end);
    changes.push({ table, key: bytes.subarray(at + HEAD_BYTES, keyEnd), value });
    at = end;
  }
  return changes;
}
