import { afterAll, beforeAll, expect, test } from 'vitest';
import { codeOf, makeTenant, openHub, value, type HubWorld } from '../hub/world.ts';

let hub: HubWorld;
const body = (url: string) => ({ kind: 'oci' as const, url, mirrors: [], insecure: false, tokenHosts: [] });
const query = { validate: 'false' as const };
const own = async (name: string, client = hub.admin) =>
  client.call('setRegistry', { params: { project: 'default', name }, query, body: body(`oci://own.example/${name}`) });
const shared = async (name: string, client = hub.admin) =>
  client.call('setTenantRegistry', { params: { name }, query, body: body(`oci://shared.example/${name}`) });

beforeAll(async () => {
  hub = await openHub();
  for (const name of ['b', 'd']) value(await own(name));
  for (const name of ['a', 'b', 'c', 'd', 'e']) value(await shared(name));
});
afterAll(async () => hub.close());

test('a project sees its own first, then those of the tenant that it does not have itself, on pages of any size', async () => {
  for (const limit of [1, 2, 3, 4, 5, 100]) {
    const seen: string[] = [];
    let after: string | undefined;
    for (let turn = 0; turn < 20; turn += 1) {
      const answer = value(
        await hub.admin.call('listRegistries', { params: { project: 'default' }, query: { limit, ...(after === undefined ? {} : { after }) } }),
      );
      expect(answer.items.length).toBeLessThanOrEqual(limit);
      seen.push(...answer.items.map((item) => `${item.name} ${item.project}`.trim()));
      after = answer.next;
      if (after === undefined) break;
    }
    expect([limit, seen]).toEqual([limit, ['b default', 'd default', 'a', 'c', 'e']]);
  }
  expect(value(await hub.admin.call('listTenantRegistries', {})).items.map((item) => item.name)).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('those of the tenant are for who may act on the whole tenant, and for no other tenant', async () => {
  const project = value(await hub.admin.call('listProjects', {})).items[0]?.id ?? '';
  const keeper = await hub.client([{ role: 'TenantAdmin', project }]);
  expect(codeOf(await shared('mine', keeper))).toBe('denied');
  expect(codeOf(await keeper.call('deleteTenantRegistry', { params: { name: 'a' } }))).toBe('denied');
  expect(codeOf(await keeper.call('deleteRegistry', { params: { project: 'default', name: 'a' } })), 'nor by the way of the project').toBe('not-found');
  expect(value(await keeper.call('listRegistries', { params: { project: 'default' } })).items).toHaveLength(5);
  const stranger = await hub.client([{ role: 'TenantAdmin' }], await makeTenant(hub.store, 'second'));
  expect(value(await stranger.call('listRegistries', { params: { project: 'default' } })).items).toEqual([]);
  expect(codeOf(await stranger.call('validateTenantRegistry', { params: { name: 'a' } }))).toBe('not-found');
});

test("a project's own registry does not inherit the password of the tenant's one", async () => {
  value(
    await hub.admin.call('setTenantRegistry', { params: { name: 'secret' }, query, body: { ...body('oci://shared.example/x'), username: 'u', password: 'p' } }),
  );
  expect(value(await own('secret')).hasPassword).toBe(false);
  value(await hub.admin.call('deleteRegistry', { params: { project: 'default', name: 'secret' } }));
  const seen = value(await hub.admin.call('listRegistries', { params: { project: 'default' } })).items.find((item) => item.name === 'secret');
  expect(seen).toMatchObject({ project: '', hasPassword: true });
  expect(JSON.stringify(seen)).not.toContain('"password"');
});
