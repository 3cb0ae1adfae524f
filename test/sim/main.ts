import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { runSeed } from './run.ts';
import { runShared } from './shared.ts';

/** `npm run sim -- --seeds 200 --steps 500 [--first 1] [--shared] [--trace]`: exit code 1 names the seed, which replays exactly. */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    steps: { type: 'string', default: '500' },
    first: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    shared: { type: 'boolean', default: false },
    processes: { type: 'string', default: String(Math.min(4, availableParallelism())) },
  },
});
const first = Number(values.first);
const seeds = Number(values.seeds);
const steps = Number(values.steps);
const processes = values.trace ? 1 : Math.max(1, Math.min(Number(values.processes), seeds));
/** One host for each cluster, or all of them hosts of one. */
const run = values.shared ? runShared : runSeed;
const flags = values.shared ? ['--shared'] : [];
const began = performance.now();

/** Seeds are independent: each process takes its share. */
if (processes > 1) {
  const share = Math.ceil(seeds / processes);
  const codes = await Promise.all(
    Array.from({ length: processes }, (_, index) => {
      const from = first + index * share;
      const count = Math.min(share, first + seeds - from);
      const done = Promise.withResolvers<number>();
      if (count <= 0) done.resolve(0);
      else
        spawn(
          process.execPath,
          [import.meta.filename, '--seeds', String(count), '--steps', String(steps), '--first', String(from), '--processes', '1', ...flags],
          {
            stdio: 'inherit',
          },
        ).on('exit', (code) => done.resolve(code ?? 1));
      return done.promise;
    }),
  );
  process.stdout.write(`${seeds} seeds in ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  process.exit(codes.every((code) => code === 0) ? 0 : 1);
}
for (let seed = first; seed < first + seeds; seed += 1) {
  try {
    await run({ seed, steps, ...(values.trace ? { trace: (text: string) => void process.stdout.write(`${text}\n`) } : {}) });
  } catch (error) {
    process.stdout.write(
      `seed ${seed}: ${error instanceof Error ? error.message : String(error)}\nreplay with: npm run sim -- --first ${seed} --seeds 1 --steps ${steps}${values.shared ? ' --shared' : ''} --trace\n`,
    );
    process.exit(1);
  }
}
const seconds = (performance.now() - began) / 1000;
process.stdout.write(`${seeds} seeds of ${steps} steps: no invariant broken (${seconds.toFixed(1)} s, ${(seeds / seconds).toFixed(1)} seeds/s)\n`);
process.exit(0);
