import { join } from 'node:path';
import type { Environment } from '@groundplane/protocol/environment/environments';
import { startVitest } from 'vitest/node';
import { cutsTitle } from './scenario-titles.ts';

/** What the suite of an environment found, by the titles of its scenarios; without the cuts, which are counted on their own. */
export interface Scenarios {
  passed: string[];
  failed: string[];
  /** With the reason. */
  skipped: Record<string, string>;
}

/** Runs the suite of an environment as `npm test` does, in a process of its own. */
export const runScenarios = async (name: Environment): Promise<Scenarios> => {
  const root = join(import.meta.dirname, '../../..');
  const vitest = await startVitest('test', [`test/conformance/providers/${name}.test.ts`], {
    root,
    watch: false,
    reporters: [{}],
    testNamePattern: `^(?!.*${cutsTitle})`,
    passWithNoTests: true,
  });
  const found: Scenarios = { passed: [], failed: [], skipped: {} };
  for (const module of vitest.state.getTestModules()) {
    for (const error of module.errors()) found.failed.push(`${name}.test.ts: ${error.message}`);
    for (const test of module.children.allTests()) {
      const title = test.fullName;
      const result = test.result();
      if (title.includes(cutsTitle)) continue;
      if (result.state === 'passed') found.passed.push(title);
      else if (result.state === 'skipped') found.skipped[title] = result.note ?? 'cannot run on this machine';
      else found.failed.push(`${title}: ${result.state === 'failed' ? (result.errors[0]?.message ?? '') : 'did not come to an end'}`.slice(0, 1_000));
    }
  }
  await vitest.close();
  // Of the process, not of this run: vitest says so when a scenario failed, and the caller decides.
  process.exitCode = undefined;
  return found;
};
