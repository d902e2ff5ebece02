// The public entry of `malamute-ts/protocol`: the wire, without any I/O.
export {
  COMMANDS,
  isFromClient,
  PROTOCOL_NAME,
  PROTOCOL_VERSION,
  type BrokerCommandName,
  type ClientCommandName,
  type Command,
  type CommandHeader,
  type CommandName,
  type FieldType,
} from './commands.js';
export { decode, encode, encodeHeader, trailer } from './codec.js';
export { contentBytes } from './content.js';
export { BatchReader } from './batch-reader.js';
export { BatchWriter } from './batch-writer.js';
export { isBatch } from './native-layout.js';
export { errorReply, ERROR_REPLY_KEY, workerCodeOf } from './error-reply.js';
export { ProtocolError, type ProtocolFault } from './errors.js';
export { compilePattern, type Pattern } from './pattern.js';
export { STATUS, type StatusCode } from './status.js';
export { fittingText, STRING_BYTES_MAX, textBytes } from './strings.js';
export {
  CACHE_VERSION_BYTES_MAX,
  IDS_REMEMBERED,
  isFromNativeClient,
  NATIVE_COMMANDS,
  NATIVE_VERSION,
  PLAIN_REQUEST,
  PROGRESS_KIND,
  type NativeBrokerCommandName,
  type NativeClientCommandName,
  type NativeCommand,
  type NativeCommandName,
  type NativeFieldType,
} from './native-commands.js';
export { BlockReader, BlockWriter, framesBetween, lastSequenceOf, type Block } from './records.js';
export { SectionWriter } from './section-writer.js';
export {
  checkSections,
  countSections,
  largestContent,
  selectSections,
  stampSections,
  type Selection,
} from './sections.js';
