// Looks at a database file before LMDB opens it: LMDB trusts what it maps, and a
// file that is not its own, or was cut off, would end the process. Only the two
// meta pages at the beginning are read, so this takes no longer for a large file.
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';

const META_PAGES = 2;
const META_BYTES = 200;
/** Where things stand in a meta page, behind its page header. */
const HEADER_BYTES = 24;
const MAGIC = 0xbeefc0de;
const PAGE_SIZE_AT = HEADER_BYTES + 24;
const LAST_PAGE_AT = HEADER_BYTES + 24 + 2 * 48;
const PAGE_SIZE_MIN = 512;
const MISSING_SHARE_MAX = 1 / 16;
const PAGE_SIZE_MAX = 65_536;

/**
 * Checks that a file is a database as far as its meta pages tell.
 *
 * @throws {Error} saying what is wrong; a file that is missing or empty is fine
 */
export function checkDatabase(file: string): void {
  if (!existsSync(file)) return;
  const descriptor = openSync(file, 'r+');
  try {
    const { size } = fstatSync(descriptor);
    if (size > 0) checkMetaPages(descriptor, size);
  } finally {
    closeSync(descriptor);
  }
}

function checkMetaPages(descriptor: number, size: number): void {
  const first = readMeta(descriptor, 0);
  const pageSize = first.readUInt32LE(PAGE_SIZE_AT);
  if (
    first.readUInt32LE(HEADER_BYTES) !== MAGIC ||
    pageSize < PAGE_SIZE_MIN ||
    pageSize > PAGE_SIZE_MAX
  ) {
    throw new Error('it does not begin as a database does');
  }
  let lastPage = 0;
  for (let page = 0; page < META_PAGES; page++) {
    const meta = readMeta(descriptor, page * pageSize);
    if (meta.readUInt32LE(HEADER_BYTES) !== MAGIC)
      throw new Error(`its meta page ${page} is overwritten`);
    lastPage = Math.max(lastPage, Number(meta.readBigUInt64LE(LAST_PAGE_AT)));
  }
  const whole = (lastPage + 1) * pageSize;
  if (size >= whole) return;
  // A few pages at the end may never have been written; more were cut off. What is
  // missing is filled with nothing, which LMDB reports, where the end of a file under
  // its map would end the process.
  if (size < whole * (1 - MISSING_SHARE_MAX)) {
    throw new Error(`it is cut off: ${size} octets of ${whole}`);
  }
  ftruncateSync(descriptor, whole);
}

function readMeta(descriptor: number, position: number): Buffer {
  const bytes = Buffer.alloc(META_BYTES);
  if (readSync(descriptor, bytes, 0, META_BYTES, position) < META_BYTES)
    throw new Error('it is cut off');
  return bytes;
}
