// The load generator for machines without a compiler: one process plays one
// role, as load.c does, with raw frames on zeromq.js. This file only finds the
// role; its clients cost more than those in C, which the report says.
import { fromArguments, type Role, type RoleOptions } from './options.js';
import { read, receive, send, sink, write } from './roles-flow.js';
import {
  churn,
  drain,
  floodService,
  floodStream,
  ping,
  pong,
  request,
  sleep,
  work,
} from './roles-services.js';

const roles: Record<Role, (options: Required<RoleOptions>) => Promise<void>> = {
  write,
  read,
  send,
  receive,
  request,
  work,
  ping,
  pong,
  'flood-stream': floodStream,
  'flood-service': floodService,
  drain,
  sleep,
  churn,
  sink,
};

async function main(): Promise<void> {
  const [role = '', ...words] = process.argv.slice(2);
  if (!(role in roles)) throw new Error(`no role ${role}`);
  await roles[role as Role](fromArguments(words));
}

main().then(
  () => process.stdin.destroy(),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
