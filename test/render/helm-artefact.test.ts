import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);

test('the committed engine fits its provenance and its sources', async () => {
  const script = fileURLToPath(new URL('../../hub/helm-engine/build.ts', import.meta.url));
  // Without a Go in the path, only files are compared; the full rebuild is `build.ts --check` on a machine with Go.
  const { stdout } = await run(process.execPath, [script, '--check'], { env: { PATH: '/nonexistent' }, timeout: 60_000 });
  expect(stdout).toContain('the files fit together');
}, 60_000);
