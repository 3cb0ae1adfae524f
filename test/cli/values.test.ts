import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestHub, type TestHub } from './hub.ts';

let hub: TestHub;
const good = async (...argv: string[]): Promise<string> => {
  const ran = await hub.gp(argv);
  if (ran.code !== 0) throw new Error(`gp ${argv.join(' ')}: ${ran.error}`);
  return ran.out;
};

beforeAll(async () => {
  hub = await startTestHub();
  const content = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {zone: "{{ .spectro.macro.zone }}", size: "{{ .spectro.var.size }}"}\n';
  const document = {
    apiVersion: 'groundplane.dev/v1',
    kind: 'Profile',
    metadata: { name: 'store', version: '1.0.0' },
    spec: { type: 'addon', variables: [{ name: 'size', default: 's' }], layers: [{ name: 'config', kind: 'addon', manifests: [{ name: 'm', content }] }] },
  };
  const cluster = { apiVersion: 'groundplane.dev/v1', kind: 'Cluster', metadata: { name: 'one' }, spec: { profiles: [{ name: 'store', version: '1.0.0' }] } };
  await writeFile(join(hub.folder, 'site.json'), `${JSON.stringify(document)}\n---\n${JSON.stringify(cluster)}\n`);
});
afterAll(() => hub.close());

describe('macros and values on the command line', () => {
  test('macros of tenant and project; a secret by standard input is never shown', async () => {
    await good('macro', 'set', 'zone', 'north', '--tenant');
    const secret = await hub.gp(['macro', 'set', 'token', '--value-stdin', '--sensitive'], { stdin: 'hunter2\n' });
    expect(secret.code).toBe(0);
    const list = await hub.gp(['get', 'macros', '-o', 'json']);
    expect(JSON.parse(list.out)).toMatchObject([
      { name: 'token', project: 'default', value: '‹redacted›', sensitive: true },
      { name: 'zone', project: '', value: 'north' },
    ]);
    expect((await hub.gp(['macro', 'set', 'x'])).error).toContain('needs a value');
    expect((await hub.gp(['macro', 'set', 'x', 'y', '--value-stdin'], { stdin: 'z' })).code).toBe(2);
  });

  test('where each value of a cluster came from', async () => {
    await good('apply', '-f', join(hub.folder, 'site.json'));
    const shown = await good('get', 'values', 'one', '-o', 'table');
    expect(shown).toMatch(/spectro\.macro\.zone +manifest m +macro of the tenant/);
    expect(shown).toMatch(/spectro\.var\.size +manifest m +default of profile store/);
    await good('macro', 'set', 'zone', 'south');
    expect(await good('get', 'values', 'one', '-o', 'table')).toContain('macro of the project');
    await good('macro', 'delete', 'zone');
    expect((await hub.gp(['macro', 'delete', 'zone'])).error).toContain('gp get macros');
    expect((await hub.gp(['get', 'values', 'two'])).error).toContain('cluster two');
    expect((await hub.gp(['get', 'values'])).code).toBe(2);
  });
});
