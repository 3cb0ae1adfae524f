import { parentPort, workerData } from 'node:worker_threads';
import { renderInInstance, startEngine, type HelmJob, type StartedState } from './instance.ts';

/** Entry of a worker thread: one job in, one outcome out, strictly in turns (the pool sends the next only after the answer). */
const { module } = workerData as { module: WebAssembly.Module };

let started: StartedState | undefined;

parentPort?.on('message', (job: HelmJob) => {
  started ??= startEngine(module);
  const outcome = renderInInstance(module, started, job);
  parentPort?.postMessage(outcome, outcome.ended === 'answered' ? [outcome.answer.buffer] : []);
});
