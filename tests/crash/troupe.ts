// Clients in processes of their own, and what is done to them: each is killed and
// born again, or stopped for longer than the broker waits for a sign of life,
// and goes on. Which of them and when is the run's business.
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transformFileSync } from '@swc/core';
import type { ChildOptions, RoleName } from './child.js';
import { addJournal, type Ledger } from './ledger.js';

const SDK = pathToFileURL(resolve('dist/client/index.js')).href;
const CAST: readonly (readonly [address: string, role: RoleName])[] = [
  ['sdk-writer', 'writer'],
  ['sdk-reader', 'reader'],
  ['sdk-slow-reader', 'slowReader'],
  ['sdk-mailer', 'mailer'],
  ['receiver', 'receiver'],
  ['sdk-requester', 'requester'],
  ['sdk-worker-1', 'worker'],
  ['sdk-worker-2', 'worker'],
];

interface Member {
  readonly address: string;
  readonly role: RoleName;
  life: number;
  process: ChildProcess;
  /** Resolves when the process is over; never rejects. */
  over: Promise<void>;
  /** Wakes it, while it is stopped. */
  waking: NodeJS.Timeout | undefined;
}

export class Troupe {
  kills = 0;
  stops = 0;
  /** Those whose processes ended though nobody had killed them, and how. */
  readonly endedByThemselves: string[] = [];
  readonly #endpoint: string;
  readonly #folder: string;
  readonly #script: string;
  readonly #members: Member[];
  #ending = false;

  /** Begins. @param folder where their script and their journals are written */
  constructor(endpoint: string, folder: string) {
    this.#endpoint = endpoint;
    this.#folder = folder;
    this.#script = join(folder, 'child.mjs');
    writeFileSync(this.#script, scriptOf('tests/crash/child.ts'));
    this.#members = CAST.map(([address, role]) => ({
      address,
      role,
      life: 1,
      ...this.#spawn(address, role, 1),
      waking: undefined,
    }));
  }

  get addresses(): string[] {
    return this.#members.map(({ address }) => address);
  }

  /** Kills one of them, by chance, and lets it be born again. */
  async killOne(): Promise<void> {
    const member = this.#any();
    if (member !== undefined) await this.#kill(member);
  }

  /** Kills or stops all of them at the same moment. */
  async strikeAll(forMs: number): Promise<void> {
    const awake = this.#members.filter(({ waking }) => waking === undefined);
    const stopped = awake.filter((_, at) => at % 2 === 0);
    for (const member of stopped) this.#stop(member, forMs);
    const killed = awake.filter((_, at) => at % 2 === 1);
    await Promise.all(killed.map((member) => this.#kill(member)));
  }

  /** Stops one of them, by chance, for a while. */
  stopOne(forMs: number): void {
    const member = this.#any();
    if (member !== undefined) this.#stop(member, forMs);
  }

  async #kill(member: Member): Promise<void> {
    this.kills++;
    this.#watch(member);
    member.process.kill('SIGKILL');
    await member.over;
    if (this.#ending) return;
    member.life++;
    Object.assign(member, this.#spawn(member.address, member.role, member.life));
  }

  #stop(member: Member, forMs: number): void {
    this.stops++;
    member.process.kill('SIGSTOP');
    member.waking = setTimeout(() => wake(member), forMs);
  }

  /** Says that nothing more is to be sent; those who are stopped hear of it when they wake. */
  quiet(): void {
    for (const { process } of this.#members) process.stdin?.write('quiet\n');
  }

  /** Whether the newest process of each sender has had its last answer. */
  get finished(): boolean {
    return this.#members
      .filter(({ role }) => role === 'writer' || role === 'mailer' || role === 'requester')
      .every(({ address, life }) => /^finished$/m.test(this.#read(`${address}.${life}.journal`)));
  }

  /** Kills them all, also who is stopped; from now on nobody is born again. */
  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all(
      this.#members.map(async (member) => {
        wake(member);
        this.#watch(member);
        member.process.kill('SIGKILL');
        await member.over;
      }),
    );
  }

  /** What they wrote down, life after life. */
  addJournals(ledger: Ledger): void {
    const journals = readdirSync(this.#folder).filter((file) => file.endsWith('.journal'));
    const lifeOf = (file: string): number => Number(file.split('.')[1]);
    for (const file of journals.sort((a, b) => lifeOf(a) - lifeOf(b))) {
      addJournal(ledger, file.split('.')[0] ?? '', this.#read(file));
    }
  }

  /** One that is neither stopped nor too young to be interesting. */
  #any(): Member | undefined {
    const awake = this.#members.filter(({ waking }) => waking === undefined);
    return awake[Math.floor(Math.random() * awake.length)];
  }

  /** Notes where a process that should live has ended. */
  #watch({ address, life, process: { exitCode, signalCode } }: Member): void {
    if (exitCode === null && signalCode === null) return;
    this.endedByThemselves.push(`${address}.${life}: ${exitCode ?? signalCode}`);
  }

  #spawn(address: string, role: RoleName, life: number): Pick<Member, 'process' | 'over'> {
    const journal = join(this.#folder, `${address}.${life}.journal`);
    const options: ChildOptions = {
      role,
      address,
      life,
      endpoint: this.#endpoint,
      journal,
      sdk: SDK,
    };
    writeFileSync(journal, '');
    const child = spawn(process.execPath, [this.#script, JSON.stringify(options)], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    // It may be killed while it is told something.
    child.stdin.on('error', () => undefined);
    const over = new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      child.on('error', ({ message }) => {
        this.endedByThemselves.push(`${address}.${life}: ${message}`);
        if (child.pid === undefined) resolve();
      });
    });
    return { process: child, over };
  }

  #read(journal: string): string {
    return readFileSync(join(this.#folder, journal), 'utf8');
  }
}

function wake(member: Member): void {
  if (member.waking === undefined) return;
  clearTimeout(member.waking);
  member.waking = undefined;
  member.process.kill('SIGCONT');
}

/** A TypeScript file without its types, as Node runs it. */
function scriptOf(file: string): string {
  const parser = { syntax: 'typescript' } as const;
  return transformFileSync(file, { jsc: { parser, target: 'es2023' }, module: { type: 'es6' } })
    .code;
}
