import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { cacheRoot, ensureBinaries } from './build.ts';
import { startLight } from './light.ts';

const usage = `usage: cli.ts build          build the lab's binaries once (minutes)
       cli.ts up [--plain]   run a Kubernetes control plane with fake nodes until Ctrl+C; --plain leaves controllers and nodes out
`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const failed = (failure: { element: string; message: string }): number => {
  process.stderr.write(`${failure.element}: ${failure.message}\n`);
  return 1;
};

const build = async (): Promise<number> => {
  const binaries = await ensureBinaries(say);
  if (!binaries.ok) return failed(binaries.failure);
  say(`ready: ${binaries.value.folder}`);
  return 0;
};

const up = async (controllers: boolean): Promise<number> => {
  const stopped = new AbortController();
  const asked = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopped.abort();
      asked.resolve();
    });
  }
  // Kept between runs: the lab continues where it was left.
  const dir = join(cacheRoot(), 'lab-data', controllers ? 'cluster' : 'plain');
  await mkdir(dir, { recursive: true });
  const started = performance.now();
  const light = await startLight({ dir, controllers, signal: stopped.signal, progress: say });
  if (!light.ok) return failed(light.failure);
  say(`Kubernetes is ready after ${((performance.now() - started) / 1000).toFixed(1)} s at ${light.value.server}`);
  say(`kubeconfig: ${light.value.kubeconfigPath}`);
  say(`kubectl: ${light.value.binaries.kube} kubectl --kubeconfig ${light.value.kubeconfigPath} get nodes`);
  say('Ctrl+C stops it.');
  await asked.promise;
  await light.value.stop();
  return 0;
};

const [command, ...rest] = process.argv.slice(2);
if (command === 'build') process.exitCode = await build();
else if (command === 'up') process.exitCode = await up(!rest.includes('--plain'));
else {
  process.stderr.write(usage);
  process.exitCode = 2;
}
