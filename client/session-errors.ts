// Why a client ends, or something of it does, in words for its user.
import { PROTOCOL_NAME, PROTOCOL_VERSION } from '../protocol/index.js';
import { closedError, MlmError } from './errors.js';

/** The broker does not speak our protocol. */
export function unsupported(error: MlmError): MlmError {
  const message = `the broker does not speak ${PROTOCOL_NAME} version ${PROTOCOL_VERSION}: ${error.message}`;
  return new MlmError('UNSUPPORTED', message, { cause: error, status: error.status });
}

/** A client that began with native sessions has to go on with them. */
export function notNativeAnyMore(endpoint: string): MlmError {
  const message =
    `the broker at ${endpoint} spoke native sessions before, and now only ${PROTOCOL_NAME}: ` +
    'what this client does needs them. Connect anew';
  return new MlmError('UNSUPPORTED', message);
}

/** The session is lost, and the user wants no other one. */
export function lostForGood(cause: MlmError | undefined): MlmError {
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return new MlmError('DISCONNECTED', `the session was lost and is not opened again${why}`, {
    cause,
    status: cause?.status,
  });
}

/** What waits to be sent when the user closes the client, and was not sent in time. @param messages how many */
export function unsentError(messages: number, closeTimeoutMs: number): MlmError {
  if (messages === 0) return closedError();
  const what = messages === 1 ? '1 message' : `${messages} messages`;
  const message = `the client was closed, and the broker did not take ${what} in closeTimeoutMs (${closeTimeoutMs} ms)`;
  return new MlmError('CLOSED', message);
}
