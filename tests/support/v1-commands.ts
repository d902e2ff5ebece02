// The commands of an MLM/1 client as values, with what a test seldom varies
// left out. It builds commands and nothing else.
import type { Command } from '../../protocol/index.js';

/** What a message may carry beside its address and subject. */
export interface MessageParts {
  tracker?: string;
  /** How long it may wait, ms; 0 for as long as it takes. */
  timeout?: number;
  content?: Buffer[];
}

export const PING: Command = { name: 'CONNECTION PING' };
export const CLOSE: Command = { name: 'CONNECTION CLOSE' };

export function open(address: string, protocol = 'MALAMUTE', version = 1): Command {
  return { name: 'CONNECTION OPEN', protocol, version, address };
}

export function write(stream: string): Command {
  return { name: 'STREAM WRITE', stream };
}

export function read(stream: string, pattern = ''): Command {
  return { name: 'STREAM READ', stream, pattern };
}

export function cancel(stream: string): Command {
  return { name: 'STREAM CANCEL', stream };
}

export function send(subject: string, ...content: Buffer[]): Command {
  return { name: 'STREAM SEND', subject, content };
}

export function mail(address: string, subject: string, parts: MessageParts = {}): Command {
  const { tracker = '', timeout = 0, content = [] } = parts;
  return { name: 'MAILBOX SEND', address, subject, tracker, timeout, content };
}

export function request(address: string, subject: string, parts: MessageParts = {}): Command {
  const { tracker = '', timeout = 0, content = [] } = parts;
  return { name: 'SERVICE SEND', address, subject, tracker, timeout, content };
}

export function offer(address: string, pattern = ''): Command {
  return { name: 'SERVICE OFFER', address, pattern };
}

export function credit(amount: number): Command {
  return { name: 'CREDIT', amount };
}

export function confirm(tracker: string, statusCode = 200, statusReason = ''): Command {
  return { name: 'CONFIRM', tracker, statusCode, statusReason };
}

/** What a command is about, in one word or two: for comparing sequences of them. */
export function brief(command: Command): string {
  switch (command.name) {
    case 'STREAM DELIVER':
    case 'MAILBOX DELIVER':
    case 'SERVICE DELIVER':
      return command.subject;
    case 'OK':
    case 'ERROR':
      return `${command.name} ${command.statusCode}`;
    case 'CONFIRM':
      return `CONFIRM ${command.tracker} ${command.statusCode}`;
    default:
      return command.name;
  }
}
