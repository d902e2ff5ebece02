// One process of a native comparison: finds its role and plays it. What the
// roles do stands in the roles- files; this file only chooses.
import { fromArguments, type RoleOptions } from '../load/options.js';

type Play = (options: Required<RoleOptions>) => Promise<void>;

/** Imported when asked for: a role loads only the client library that it uses. */
const families: Record<string, () => Promise<Record<string, Play>>> = {
  ours: async () => ({
    ...(await import('./roles-ours.js')),
    ...(await import('./roles-fan-out-ours.js')),
  }),
  nats: async () => ({ ...(await import('./roles-nats.js')) }),
  redis: async () => ({
    ...(await import('./roles-redis.js')),
    ...(await import('./roles-fan-out-redis.js')),
  }),
  bare: async () => ({ ...(await import('./roles-bare.js')) }),
};

async function main(): Promise<void> {
  const [role = '', ...words] = process.argv.slice(2);
  const [family = '', name = ''] = role.split(':');
  const play = (await families[family]?.())?.[name];
  if (play === undefined) throw new Error(`no role ${role}`);
  await play(fromArguments(words));
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof Error ? error.stack : error);
    process.exit(1);
  },
);
