// How a batch of native commands lies in the frames of a ZeroMQ message, as far as
// writing and reading it have to agree on it, driven by the native command table.
//
//   frame 0:   AA A9 | commands
//   command:   u8 number | u8 frames of its own | u32 octets of payload | payload
//   frame 1…:  the frames of the commands that have some, in order: the sections,
//              or the content frames, that are then missing in the payload
import {
  NATIVE_COMMANDS,
  type NativeCommandName,
  type NativeFieldType,
} from './native-commands.js';

export const SIGNATURE_0 = 0xaa;
export const SIGNATURE_1 = 0xa9;
export const HEADER_BYTES = 2;
export const COMMAND_BYTES = 6;

/** The fields of a command, in order. */
export interface Layout {
  readonly name: NativeCommandName;
  readonly id: number;
  readonly fields: readonly { readonly key: string; readonly type: NativeFieldType }[];
}

export type Loose = Record<string, unknown>;

export const layoutByName = new Map<string, Layout>();
export const layoutById: (Layout | undefined)[] = [];
for (const name of Object.keys(NATIVE_COMMANDS) as NativeCommandName[]) {
  const { id, fields: row } = NATIVE_COMMANDS[name];
  const fields = Object.entries<NativeFieldType>(row).map(([key, type]) => ({ key, type }));
  const layout = { name, id, fields };
  layoutByName.set(name, layout);
  layoutById[id] = layout;
}

/** True where frame 0 of a message is a batch of native commands. */
export function isBatch(frame: Buffer | undefined): boolean {
  return frame?.[0] === SIGNATURE_0 && frame[1] === SIGNATURE_1;
}

/** Octets that fields of a fixed width take. */
export const WIDTH: Record<Exclude<NativeFieldType, 'string' | 'packed'>, number> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  map: 0,
  sections: 0,
  frames: 0,
};
