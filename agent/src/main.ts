import { compileRarely } from './system/compile-rarely.ts';

if (import.meta.main) {
  // Before the agent itself is loaded: what its modules run at once is enough to start a compiler.
  compileRarely();
  const { main } = await import('./run.ts');
  await main();
}
