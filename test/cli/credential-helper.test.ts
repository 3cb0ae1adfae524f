import { mkdtempSync, rmSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { askHelper } from '@groundplane/hub/cli/credential-helper';
import { codeOf, value } from '../hub/world.ts';

const folder = mkdtempSync(join(tmpdir(), 'gp-helper-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const env = { PATH: `${folder}:/usr/bin:/bin` };

const install = async (name: string, script: string): Promise<void> => {
  const file = join(folder, `docker-credential-${name}`);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
};

test('a helper is asked for the host by standard input, and answers user and secret', async () => {
  await install('good', `cat > ${folder}/asked; echo "$1" >> ${folder}/asked; echo '{"ServerURL":"x","Username":"anna","Secret":"s3cret"}'`);
  expect(value(await askHelper('good', 'registry.example', env))).toEqual({ username: 'anna', password: 's3cret' });
  expect(await readFile(join(folder, 'asked'), 'utf8')).toBe('registry.example\nget\n');
  await install('token', `echo '{"Username":"<token>","Secret":"refresh"}'`);
  expect(value(await askHelper('token', 'registry.example', env))).toEqual({ username: '', password: '', identityToken: 'refresh' });
});

test('a host that it does not know is no fault', async () => {
  await install('none', 'echo "credentials not found in native keychain"; exit 1');
  expect(value(await askHelper('none', 'registry.example', env))).toBeUndefined();
});

test('what goes wrong is said without what it printed', async () => {
  await install('broken', 'echo "s3cret of anna"; exit 7');
  await install('chatty', 'while true; do echo s3cret-s3cret-s3cret-s3cret-s3cret; done');
  await install('odd', `echo '{"Username":7,"Secret":"s3cret"}'`);
  await install('empty', `echo '{"Username":"anna","Secret":""}'`);
  await install('text', 'echo s3cret');
  for (const name of ['broken', 'chatty', 'odd', 'empty', 'text', 'missing', '../evil', 'a b', '', '-x', 'x'.repeat(65), 'a/b', '$(id)']) {
    const asked = await askHelper(name, 'registry.example', env);
    expect([name, codeOf(asked)]).toEqual([name, 'credentials-invalid']);
    expect(JSON.stringify(asked)).not.toContain('s3cret');
  }
});
