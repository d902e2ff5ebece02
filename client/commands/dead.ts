// `mlm dead`: looks after dead letters: requests that failed for good.
import type { DeadLetter, MlmClient } from '../index.js';
import { actionOf, needed, wholeNumberOf } from './shared/actions.js';
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { CommandError } from './shared/failure.js';
import { withClient } from './shared/session.js';
import { JSON_OPTION, showFields, showTable } from './shared/show.js';

interface DeadArguments extends BrokerArguments {
  readonly action: string;
  readonly service?: string;
  readonly letter?: string;
  readonly json?: boolean;
}

type Action = (client: MlmClient, given: DeadArguments, context: Context) => Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = {
  ls: async (client, { service, json = false }, context) => {
    if (service === undefined) {
      await showTable(await client.deadLetters(), 'no dead letters', json, context);
      return;
    }
    const rows = (await client.deadLetters(service)).map((letter) => summaryOf(letter));
    await showTable(rows, `no dead letters of the service "${service}"`, json, context);
  },
  show: async (client, given, context) => {
    const { service, letter: number } = letterOf(given);
    const letter = (await client.deadLetters(service)).find((one) => one.letter === number);
    if (letter === undefined) {
      throw new CommandError(`the service "${service}" has no dead letter ${number}`);
    }
    const { failures, acceptedMs, ...fields } = letter;
    const json = given.json === true;
    await showFields(
      json ? letter : { ...fields, accepted: new Date(acceptedMs).toISOString() },
      json,
      context,
    );
    if (json || failures.length === 0) return;
    const rows = failures.map(({ timeMs, worker, reason }) => ({
      failed: new Date(timeMs).toISOString(),
      worker,
      reason,
    }));
    await showTable(rows, '', false, context);
  },
  retry: async (client, given, { hint }) => {
    const { service, letter } = letterOf(given);
    await client.retryDeadLetter(service, letter);
    hint(`the request is in the queue of "${service}" again`);
  },
  drop: async (client, given, { hint }) => {
    const { service, letter } = letterOf(given);
    await client.dropDeadLetter(service, letter);
    hint(`dropped the dead letter ${letter} of "${service}"`);
  },
};

/** @throws {CommandError} where one of them is missing */
function letterOf({ service, letter }: DeadArguments): { service: string; letter: number } {
  return {
    service: needed(service, 'the service'),
    letter: wholeNumberOf(letter, 'the number of the letter'),
  };
}

function summaryOf(letter: DeadLetter): object {
  const { letter: number, subject, sender, attempts, bytes, failures } = letter;
  return {
    letter: number,
    subject,
    sender,
    attempts,
    bytes,
    reason: failures.at(-1)?.reason ?? '',
  };
}

export const deadCommand: Command<DeadArguments> = {
  name: 'dead',
  takes: '<action> [service] [letter]',
  about: 'List, show, retry and drop dead letters',
  details: 'A request becomes a dead letter when it has failed too often, or would fail again.',
  examples: [
    ['ls', 'how many each service has'],
    ['ls resize', 'those of a service, and why'],
    ['show resize 3', 'one, with the history of its attempts'],
    ['retry resize 3', 'make the request again'],
    ['drop resize 3', 'throw it away'],
  ],
  positionals: {
    action: Object.keys(ACTIONS).join(', '),
    service: 'the service',
    letter: 'the number of the letter, as ls shows it',
  },
  options: { json: JSON_OPTION, ...BROKER_OPTIONS },
  run: async (given, context) => {
    const action = actionOf(ACTIONS, given.action);
    await withClient('dead', given, context, { kind: 'once' }, (client) =>
      action(client, given, context),
    );
  },
};
