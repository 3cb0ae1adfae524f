import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A program of ours in a process of its own, which says `{"ready":true,…}` on its first line. */
export interface Child {
  process: ChildProcess;
  ready: Promise<Record<string, unknown>>;
  stop: () => Promise<void>;
}

export const startChild = (
  script: string,
  args: readonly string[],
  options: { onLine?: (line: string) => void; onError?: (text: string) => void; nodeArgs?: readonly string[] } = {},
): Child => {
  const child = spawn(process.execPath, [...(options.nodeArgs ?? []), script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ready = Promise.withResolvers<Record<string, unknown>>();
  const exited = Promise.withResolvers<void>();
  let errors = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{"ready"')) ready.resolve(JSON.parse(line) as Record<string, unknown>);
    else options.onLine?.(line);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4_000);
    options.onError?.(text);
  });
  child.on('exit', (code) => {
    ready.reject(new Error(`${script} ended with ${code}: ${errors}`));
    exited.resolve();
  });
  ready.promise.catch(() => undefined);
  return {
    process: child,
    ready: ready.promise,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await exited.promise;
      clearTimeout(kill);
    },
  };
};
