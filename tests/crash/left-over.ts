// What a broker holds when nobody sends any more and everybody who takes is there:
// it is to come down to nothing.
import { PLAIN_REQUEST } from '../../protocol/index.js';
import type { NativeClient } from '../support/native-client.js';

/** What is left when nobody sends any more and every worker and receiver is alive. */
export interface LeftOver {
  readonly requests: number;
  readonly mail: number;
  readonly deadLetters: number;
  /** Cursors that have not come to the end of the stream. */
  readonly cursorsBehind: readonly string[];
  /** Sessions of clients that are not there, or are there twice. */
  readonly ghosts: readonly string[];
  /** True where a sender still waits for an answer. */
  readonly unanswered: boolean;
}

/**
 * Looks what is left.
 *
 * @param expected the addresses of those who are to have a session, beside the one who asks
 */
export async function leftOver(
  client: NativeClient,
  expected: readonly string[],
  unanswered: boolean,
): Promise<LeftOver> {
  const services = await view<{ requests: number }>(client, 'services.json');
  const mailboxes = await view<{ messages: number }>(client, 'mailboxes.json');
  const clients = await view<{ address: string }>(client, 'clients.json');
  const dead = await client.ask<{ letters: number }[]>('dead.counts', {});
  const { lastSequence, cursors } = await client.ask<{
    lastSequence: number;
    cursors: { name: string; sequence: number }[];
  }>('stream.info', { stream: 'events' });
  return {
    requests: services.reduce((sum, { requests }) => sum + requests, 0),
    mail: mailboxes.reduce((sum, { messages }) => sum + messages, 0),
    deadLetters: dead.reduce((sum, { letters }) => sum + letters, 0),
    cursorsBehind: cursors
      .filter(({ sequence }) => sequence !== lastSequence)
      .map(({ name, sequence }) => `${name}: ${sequence} of ${lastSequence}`),
    ghosts: ghostsAmong(clients, [...expected, client.address]),
    unanswered,
  };
}

function ghostsAmong(
  clients: readonly { address: string }[],
  expected: readonly string[],
): string[] {
  const left = [...expected];
  return clients
    .map(({ address }) => address)
    .filter((address) => {
      const at = left.indexOf(address);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
}

export function isNothing({
  requests,
  mail,
  deadLetters,
  cursorsBehind,
  ghosts,
  unanswered,
}: LeftOver): boolean {
  const number = requests + mail + deadLetters + cursorsBehind.length + ghosts.length;
  return number === 0 && !unanswered;
}

async function view<Row>(client: NativeClient, subject: string): Promise<Row[]> {
  await client.send({ ...PLAIN_REQUEST, address: '$broker', subject });
  const { content } = await client.next('MAILBOX DELIVER', (mail) => mail.subject === subject);
  return JSON.parse(Buffer.concat([...content]).toString()) as Row[];
}
