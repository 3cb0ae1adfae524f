import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** One running part of the lab. */
export interface Part {
  name: string;
  pid: number;
  log: string;
  isAlive(): boolean;
  /** Ends it: SIGTERM and, when it does not listen, SIGKILL after the patience. Resolves when it is gone. */
  end(signal: 'SIGTERM' | 'SIGKILL', patienceMs?: number): Promise<void>;
}

// Children must not outlive a test process that was killed: the kernel kills them with it.
const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

const alive = new Set<number>();
let isExitWatched = false;

/** Starts a program with its output in a log file (appended). Throws when the program cannot be started at all. */
export const startPart = async (name: string, log: string, program: string, args: string[]): Promise<Part> => {
  const file = await open(log, 'a');
  const [command, all] = setpriv === undefined ? [program, args] : [setpriv, ['--pdeathsig', 'KILL', program, ...args]];
  const child = spawn(command, all, { stdio: ['ignore', file.fd, file.fd] });
  let isAlive = true;
  const gone = new Promise<void>((resolve) => {
    const end = (): void => {
      isAlive = false;
      if (child.pid !== undefined) alive.delete(child.pid);
      resolve();
    };
    child.once('exit', end);
    child.once('error', end);
  });
  await file.close();
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${name}: ${program} cannot be started`);
  alive.add(pid);
  if (!isExitWatched) {
    isExitWatched = true;
    process.once('exit', () => {
      for (const left of alive) {
        try {
          process.kill(left, 'SIGKILL');
        } catch {
          // Already gone.
        }
      }
    });
  }
  return {
    name,
    pid,
    log,
    isAlive: () => isAlive,
    end: async (signal, patienceMs = 5000) => {
      if (isAlive) child.kill(signal);
      const isLate = await Promise.race([gone.then(() => false), delay(patienceMs, true, { ref: false })]);
      if (isLate) child.kill('SIGKILL');
      await gone;
    },
  };
};

/** The last lines of a log, for an error message. */
export const lastLines = async (log: string, count: number = 6): Promise<string> => {
  const text = await readFile(log, 'utf8').catch(() => '');
  return text
    .trimEnd()
    .split('\n')
    .slice(-count)
    .map((line) => line.slice(0, 400))
    .join('\n');
};

/** Resident memory of a process in bytes; 0 when it is gone. */
export const residentBytes = async (pid: number): Promise<number> => {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
};
