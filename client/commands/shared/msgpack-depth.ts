// How deep a MessagePack frame is nested, found out by walking over it without
// building anything: one hostile octet is one level, and a decoder that trusts
// it runs out of memory. Whether the frame decodes is the decoder's business.
//
// Source: the MessagePack specification, "Formats".

/** Octets that follow the first one of numbers and short extensions; none for what is not listed. */
const FIXED: Readonly<Record<number, number>> = {
  0xca: 4,
  0xcb: 8,
  0xcc: 1,
  0xcd: 2,
  0xce: 4,
  0xcf: 8,
  0xd0: 1,
  0xd1: 2,
  0xd2: 4,
  0xd3: 8,
  0xd4: 2,
  0xd5: 3,
  0xd6: 5,
  0xd7: 9,
  0xd8: 17,
};

/** Formats with a length of so many octets, and what follows it beside that many. */
const COUNTED: Readonly<Record<number, readonly [lengthBytes: number, extra: number]>> = {
  0xc4: [1, 0],
  0xc5: [2, 0],
  0xc6: [4, 0],
  0xc7: [1, 1],
  0xc8: [2, 1],
  0xc9: [4, 1],
  0xd9: [1, 0],
  0xda: [2, 0],
  0xdb: [4, 0],
};

/** Lists and maps: the octets of their count, and items for each that is counted. */
const CONTAINERS: Readonly<Record<number, readonly [countBytes: number, items: number]>> = {
  0xdc: [2, 1],
  0xdd: [4, 1],
  0xde: [2, 2],
  0xdf: [4, 2],
};

interface Item {
  /** Octets of the item itself, without the items in it. */
  readonly bytes: number;
  /** Items in it. */
  readonly items: number;
}

/** True where no list or map of the frame is deeper than `depthMax` levels. */
export function isShallow(frame: Buffer, depthMax: number): boolean {
  /** For each level, the items that are still to come. */
  const open = [1];
  let at = 0;
  while (open.length > 0 && at < frame.length) {
    const level = open.length - 1;
    if (open[level] === 0) {
      open.pop();
      continue;
    }
    (open[level] as number)--;
    const { bytes, items } = itemAt(frame, at);
    at += bytes;
    if (items === 0) continue;
    if (open.length > depthMax) return false;
    open.push(items);
  }
  return true;
}

function itemAt(frame: Buffer, at: number): Item {
  const first = frame[at] as number;
  if (first < 0x80 || first >= 0xe0) return { bytes: 1, items: 0 };
  if (first < 0x90) return { bytes: 1, items: (first & 0x0f) * 2 };
  if (first < 0xa0) return { bytes: 1, items: first & 0x0f };
  if (first < 0xc0) return { bytes: 1 + (first & 0x1f), items: 0 };
  const container = CONTAINERS[first];
  if (container !== undefined) {
    const [countBytes, items] = container;
    return { bytes: 1 + countBytes, items: numberAt(frame, at + 1, countBytes) * items };
  }
  const counted = COUNTED[first];
  if (counted === undefined) return { bytes: 1 + (FIXED[first] ?? 0), items: 0 };
  const [lengthBytes, extra] = counted;
  const length = numberAt(frame, at + 1, lengthBytes);
  return { bytes: 1 + lengthBytes + extra + length, items: 0 };
}

/** A big-endian number; 0 where the frame ends before it does. */
function numberAt(frame: Buffer, at: number, bytes: number): number {
  return at + bytes <= frame.length ? frame.readUIntBE(at, bytes) : 0;
}
