import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { profileSpecSchema } from '@groundplane/protocol/profile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf, openHub, value, type HubWorld } from './world.ts';

let hub: HubWorld;
const params = (name: string, version: string) => ({ project: 'default', name, version });
const manifest = (name: string, data: string) => ({
  name,
  kind: 'addon' as const,
  manifests: [{ name: 'm', content: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {v: ${data}}\n` }],
});
const secret = {
  name: 'login',
  kind: 'addon' as const,
  manifests: [{ name: 's', content: 'apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: "{{ .spectro.var.password }}"}\n' }],
};
const variables = [
  { name: 'password', sensitive: true, required: true },
  { name: 'size', default: 's' },
];
const save = (name: string, version: string, layers: object[], draft = false) =>
  hub.admin.call('applyProfile', { params: params(name, version), body: { spec: { type: 'addon', variables, layers: layers as never }, draft } });

beforeAll(async () => {
  hub = await openHub();
  value(await save('shop', '1.0.0', [manifest('a', '"{{ .spectro.var.size }}"'), secret]));
  value(await save('shop', '1.1.0', [manifest('a', '"{{ .spectro.var.size }}!"'), manifest('b', '"{{ .spectro.macro.site }}"')]));
});
afterAll(async () => hub.close());

describe('comparing', () => {
  test('layers as text, and with "rendered" every object; secrets stay hidden', async () => {
    value(await hub.admin.call('setMacro', { params: { project: 'default', name: 'site' }, body: { value: 'north' } }));
    const body = { from: { name: 'shop', version: '1.0.0' }, to: { name: 'shop', version: '1.1.0' }, variables: { password: 'hunter2', size: 'l' } };
    const plain = value(await hub.admin.call('compareProfiles', { params: { project: 'default' }, body }));
    expect(plain.layers.map(({ name, change }) => [name, change])).toEqual([
      ['a', 'change'],
      ['b', 'add'],
      ['login', 'remove'],
    ]);
    expect(plain.rendered).toBeUndefined();
    const full = value(await hub.admin.call('compareProfiles', { params: { project: 'default' }, body: { ...body, rendered: true } }));
    expect(full.rendered?.objects.map(({ object, change }) => [object, change])).toEqual([
      ['ConfigMap default/a', 'change'],
      ['ConfigMap default/b', 'add'],
      ['Secret default/login', 'remove'],
    ]);
    expect(full.rendered?.objects[0]).toMatchObject({ before: expect.stringContaining('v: l\n') as string, after: expect.stringContaining('v: l!') as string });
    expect(full.rendered?.objects[1]?.after).toContain('north');
    expect(JSON.stringify(full)).not.toContain('hunter2');
  });

  test('profiles of different names; a version that is not there', async () => {
    value(await save('other', '1.0.0', [manifest('c', '"1"')]));
    const answer = value(
      await hub.admin.call('compareProfiles', {
        params: { project: 'default' },
        body: { from: { name: 'other', version: '1.0.0' }, to: { name: 'shop', version: '1.1.0' } },
      }),
    );
    expect(answer.layers.map(({ name, change }) => [name, change])).toEqual([
      ['a', 'add'],
      ['b', 'add'],
      ['c', 'remove'],
    ]);
    const missing = await hub.admin.call('compareProfiles', {
      params: { project: 'default' },
      body: { from: { name: 'other', version: '9.0.0' }, to: { name: 'shop', version: '1.1.0' } },
    });
    expect(codeOf(missing)).toBe('not-found');
  });
});

describe('preview', () => {
  test('objects, and where each value came from; nothing is saved', async () => {
    const spec = profileSpecSchema.parse({
      type: 'addon',
      variables,
      layers: [manifest('a', '"{{ .spectro.var.size }} {{ .spectro.macro.site }} {{ .spectro.system.cluster.name }}"'), secret],
    });
    const answer = value(await hub.admin.call('previewProfile', { params: { project: 'default' }, body: { spec, variables: { password: 'x' } } }));
    expect(answer.layers[0]).toMatchObject({ name: 'a', objects: ['ConfigMap default/a'] });
    expect(answer.layers[0]?.uses).toEqual([
      { where: 'manifest m', reference: 'spectro.var.size', origin: { from: 'default', profile: 'preview' }, sensitive: false },
      { where: 'manifest m', reference: 'spectro.macro.site', origin: { from: 'macro', scope: 'project' }, sensitive: false },
      { where: 'manifest m', reference: 'spectro.system.cluster.name', origin: { from: 'system' }, sensitive: false },
    ]);
    expect(answer.layers[1]?.uses).toEqual([{ where: 'manifest s', reference: 'spectro.var.password', origin: { from: 'cluster' }, sensitive: true }]);
    const list = value(await hub.admin.call('listProfiles', { params: { project: 'default' } }));
    expect(list.items.map((item) => item.name)).not.toContain('preview');
    const bad = await hub.admin.call('previewProfile', { params: { project: 'default' }, body: { spec } });
    expect(codeOf(bad)).toBe('variable-missing');
  });
});

describe('clone', () => {
  test('a draft under another name or version, released only when asked, never over something', async () => {
    const draft = value(await hub.admin.call('cloneProfile', { params: params('shop', '1.0.0'), body: { version: '2.0.0' } }));
    expect(draft).toMatchObject({ name: 'shop', version: '2.0.0', state: 'draft' });
    const released = value(await hub.admin.call('cloneProfile', { params: params('shop', '1.0.0'), body: { name: 'copy', draft: false } }));
    expect(released).toMatchObject({ name: 'copy', version: '1.0.0', state: 'released' });
    expect(codeOf(await hub.admin.call('cloneProfile', { params: params('shop', '1.0.0'), body: { name: 'copy' } }))).toBe('name-taken');
    expect(codeOf(await hub.admin.call('cloneProfile', { params: params('shop', '1.0.0'), body: {} }))).toBe('name-taken');
  });

  test('into another project, for those who may make profiles there', async () => {
    value(await hub.admin.call('createProject', { body: { name: 'north' } }));
    const copy = value(await hub.admin.call('cloneProfile', { params: params('shop', '1.0.0'), body: { project: 'north' } }));
    expect(copy.project).toBe('north');
    const projects = value(await hub.admin.call('listProjects', {})).items;
    const author = await hub.client([{ role: 'ProfileAuthor', project: projects.find((item) => item.name === 'default')?.id ?? '' }]);
    expect(codeOf(await author.call('cloneProfile', { params: params('shop', '1.0.0'), body: { project: 'north', version: '3.0.0' } }))).toBe('denied');
    expect(codeOf(await author.call('cloneProfile', { params: params('shop', '1.0.0'), body: { version: '3.0.0', draft: false } }))).toBe('denied');
    value(await author.call('cloneProfile', { params: params('shop', '1.0.0'), body: { version: '3.0.0' } }));
  });
});

describe('secrets', () => {
  const stored = async (): Promise<string> => {
    const rows: unknown[] = [];
    for (const kind of ['cluster', 'macro', 'desired'] as const) for await (const row of hub.store.scan(kind)) rows.push(row);
    return JSON.stringify(rows);
  };
  const spec = (password: string) => ({ profiles: [{ name: 'shop', version: '1.0.0' }], variables: { password, size: 'm' }, hosts: [] });

  test('a sensitive variable is sealed in the store, hidden in answers, and survives an edit that only shows it hidden', async () => {
    const at = { project: 'default', name: 'store' };
    const first = value(await hub.admin.call('applyCluster', { params: at, body: { spec: spec('hunter2') } }));
    expect(first.spec.variables).toEqual({ password: '‹redacted›', size: 'm' });
    expect(await stored()).not.toContain('hunter2');
    const again = value(await hub.admin.call('applyCluster', { params: at, body: { spec: first.spec } }));
    expect(again.rowVersion).toBe(first.rowVersion);
    const changed = value(await hub.admin.call('applyCluster', { params: at, body: { spec: spec('other') } }));
    expect(changed.rowVersion).toBe(first.rowVersion + 1);
    const values = value(await hub.admin.call('clusterValues', { params: at }));
    expect(values.layers.find((layer) => layer.name === 'login')?.uses[0]).toMatchObject({ origin: { from: 'cluster' }, sensitive: true });
    expect(JSON.stringify(values)).not.toContain('other');
  });

  test('what is rendered with a secret lies sealed on the disk, and is served as it is', async () => {
    value(await hub.admin.call('applyCluster', { params: { project: 'default', name: 'sealed' }, body: { spec: spec('canary-4711') } }));
    const row = await hub.store.byName(
      'cluster',
      hub.tenant,
      value(await hub.admin.call('listProjects', {})).items.find((item) => item.name === 'default')?.id ?? '',
      'sealed',
    );
    if (row === undefined) throw new Error('the cluster is not there');
    const built = value(await hub.core.bundler.make(value(await hub.core.inputs.ofRow(row))));
    const object = built.bundle.layers.find((layer) => layer.name === 'login')?.objects[0];
    expect(String(await hub.content.read(object?.digest ?? ''))).toContain('canary-4711');
    expect(await hub.content.size(object?.digest ?? '')).toBe(object?.size);
    const part: Buffer[] = [];
    for await (const chunk of hub.content.stream(object?.digest ?? '', 2, 11)) part.push(Buffer.from(chunk as Uint8Array));
    expect(Buffer.concat(part).toString()).toBe(String(await hub.content.read(object?.digest ?? '')).slice(2, 12));
    const found: string[] = [];
    for (const entry of readdirSync(hub.folder, { recursive: true, withFileTypes: true }))
      if (entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes('canary-4711')) found.push(entry.name);
    expect(found).toEqual([]);
  });

  test('macros: the nearest scope wins, sensitive ones are sealed and hidden, and everybody who uses one follows', async () => {
    const preview = async (): Promise<string> => {
      const layers = [manifest('b', '"{{ .spectro.macro.zone }}"')];
      value(await save('zones', '1.0.0', layers, true));
      const answer = await hub.admin.call('compareProfiles', {
        params: { project: 'default' },
        body: { from: { name: 'other', version: '1.0.0' }, to: { name: 'zones', version: '1.0.0' }, rendered: true, variables: { password: 'x' } },
      });
      return answer.ok ? (/v: (\w+)/.exec(answer.value.rendered?.objects.find((item) => item.change === 'add')?.after ?? '')?.[1] ?? '') : answer.failure.code;
    };
    expect(await preview()).toBe('reference-unknown');
    value(await hub.admin.call('setTenantMacro', { params: { name: 'zone' }, body: { value: 'tenant', sensitive: true } }));
    expect(await preview()).toBe('tenant');
    expect(value(await hub.admin.call('listTenantMacros', {})).items).toMatchObject([{ name: 'zone', project: '', value: '‹redacted›', sensitive: true }]);
    expect(await stored()).not.toContain('"tenant"}');
    value(await hub.admin.call('setMacro', { params: { project: 'default', name: 'zone' }, body: { value: 'project' } }));
    expect(await preview()).toBe('project');
    value(await hub.admin.call('deleteMacro', { params: { project: 'default', name: 'zone' } }));
    value(await hub.admin.call('setTenantMacro', { params: { name: 'zone' }, body: { value: '‹redacted›' } }));
    expect(await preview()).toBe('tenant');
    value(await hub.admin.call('deleteTenantMacro', { params: { name: 'zone' } }));
    expect(await preview()).toBe('reference-unknown');
  });
});
