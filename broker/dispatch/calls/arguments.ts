// The arguments of calls: each method takes a map, and checks what it needs of it.
// What is wrong is a CallError, which becomes the answer; nothing else is thrown.
import { compilePattern, STATUS, type Pattern } from '../../../protocol/index.js';
import type { Refusal } from '../../refusal.js';
import type { Session } from '../../sessions/session.js';

/** What is wrong with the arguments of a call, or why it cannot be done. */
export class CallError extends Error {
  readonly statusCode: number;

  constructor(message: string, statusCode: number = STATUS.FAILED) {
    super(message);
    this.statusCode = statusCode;
  }
}

export type Arguments = Readonly<Record<string, unknown>>;
/** @returns the value of the RESULT. @throws {CallError} */
export type Method = (session: Session, given: Arguments) => unknown;
export type Methods = Readonly<Record<string, Method>>;

/** The largest handle, and the largest credit that one call grants. */
export const U32_MAX = 2 ** 32 - 1;

export function unwrap<Value>(result: Value | Refusal): Value {
  if (isRefusal(result)) throw new CallError(result.reason, result.statusCode);
  return result;
}

function isRefusal(result: unknown): result is Refusal {
  return (
    typeof result === 'object' && result !== null && 'reason' in result && 'statusCode' in result
  );
}

export function asMap(value: unknown): Arguments {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Arguments;
  throw new CallError('arguments are a map');
}

export function text(given: Arguments, key: string): string {
  const value = given[key];
  if (typeof value === 'string') return value;
  throw new CallError(`${key} is missing, or not a text`);
}

export function integer(
  given: Arguments,
  key: string,
  min: number,
  max: number,
  missing?: number,
): number {
  const value = given[key] ?? missing;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max)
    return value;
  throw new CallError(`${key} is not a whole number from ${min} to ${max}`);
}

export function patternOf(given: Arguments): Pattern {
  return compilePattern(given['pattern'] === undefined ? '' : text(given, 'pattern'));
}
