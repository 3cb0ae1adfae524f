import { parentPort, workerData } from 'node:worker_threads';
import { renderInInstance, type HelmJob } from './instance.ts';

/** Entry of a worker thread: one job in, one outcome out, strictly in turns (the pool sends the next only after the answer). */
const { module } = workerData as { module: WebAssembly.Module };

parentPort?.on('message', (job: HelmJob) => {
  const outcome = renderInInstance(module, job);
  parentPort?.postMessage(outcome, outcome.ended === 'answered' ? [outcome.answer.buffer] : []);
});
