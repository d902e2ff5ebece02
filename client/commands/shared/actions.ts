// Commands with actions of their own, as `mlm stream trim`: finds the action, and
// checks that it was given what it takes.
import { usageError } from './failure.js';

/** The action of a name. @throws {CommandError} naming those that there are */
export function actionOf<Action>(actions: Readonly<Record<string, Action>>, name: string): Action {
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action !== undefined) return action;
  throw usageError(`there is no action "${name}"; there are ${Object.keys(actions).join(', ')}`);
}

/** An argument that an action needs. @throws {CommandError} saying which is missing */
export function needed<Value>(value: Value | undefined, what: string): Value {
  if (value !== undefined) return value;
  throw usageError(`${what} is missing`);
}

/** A whole number among the arguments. @throws {CommandError} */
export function wholeNumberOf(text: string | undefined, what: string): number {
  const given = needed(text, what);
  const value = Number(given);
  if (/^\d+$/.test(given) && Number.isSafeInteger(value)) return value;
  throw usageError(`${what} is a whole number, not "${given}"`);
}
