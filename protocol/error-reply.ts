// How a reply says that a request failed, where the requester speaks MLM/1, which
// has no word for it: one MessagePack frame, a map with the one key `$error`, whose
// value is a map of `code` and `message`, both strings.
import { encode } from '@msgpack/msgpack';

/** The key by which an error reply is known. */
export const ERROR_REPLY_KEY = '$error';

/** The content of an error reply. */
export function errorReply(code: string, message: string): Buffer[] {
  return [Buffer.from(encode({ [ERROR_REPLY_KEY]: { code, message } }))];
}

/** The code of the worker in the reason for which a request was given up; undefined where it has none. */
export function workerCodeOf(reason: string): string | undefined {
  return /(?:^|; the last one: )([^\s:]+): /.exec(reason)?.[1];
}
