// Processes by their pid, for tests that ask whether any is left. It looks and never
// signals: whoever started a process ends it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** True on Linux, where more can be known of processes. */
export function hasProc(): boolean {
  return existsSync('/proc/self/environ');
}

/** Whether it runs; one that has ended and was not waited for does not, as far as can be seen. */
export function isAlive(pid: number): boolean {
  try {
    if (hasProc()) return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The pids of all processes with this text there; where there is no /proc, nothing is known. */
export function pidsWith(text: string, where: 'environ' | 'cmdline'): number[] {
  if (!hasProc()) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/${where}`, 'utf8').includes(text);
      } catch {
        return false; // Ended meanwhile, or another user's.
      }
    })
    .map(Number);
}
