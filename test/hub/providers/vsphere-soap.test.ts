import { expect, test } from 'vitest';
import { cloneSpecOf, metadataOf } from '@groundplane/hub/providers/vsphere/clone-spec';
import { failureOfFault, failureOfStatus, faultOfBody } from '@groundplane/hub/providers/vsphere/failures';
import { inventoryName, inventoryOf, plainName, ways } from '@groundplane/hub/providers/vsphere/inventory';
import { addressesOf } from '@groundplane/hub/providers/vsphere/machines';
import { element, envelope, parseXml, refTo, textOf, typeOf, childOf } from '@groundplane/hub/providers/vsphere/soap';
import { createSession } from '@groundplane/hub/providers/vsphere/session';
import type { Choice } from '@groundplane/hub/providers/vsphere/site';
import { placementSchemas } from '@groundplane/protocol/environment/placement';

const parse = (text: string) => parseXml(Buffer.from(text));

test('nothing that is put into an envelope can leave its element', () => {
  const hostile = '</name><powerOn>true</powerOn>&amp;"\'\u0000\u0008';
  const text = envelope(
    'CloneVM_Task',
    { type: 'VirtualMachine"', id: '<vm>' },
    { name: hostile, list: ['a', 'b'], none: undefined, target: refTo('Folder', '"') },
  );
  const call = childOf(parse(text), 'Envelope', 'Body', 'CloneVM_Task');
  expect(Object.keys(call?.children ?? {})).toEqual(['_this', 'name', 'list', 'target']);
  expect(textOf(call, 'name')).toBe('</name><powerOn>true</powerOn>&amp;"\'');
  expect(childOf(call, '_this')).toMatchObject({ text: '<vm>', attributes: { type: 'VirtualMachine"' } });
});

test('polymorphic values carry their type, and its prefix may be any', () => {
  expect(element('value', { $type: 'xsd:string', $text: 'a<b' })).toBe('<value xsi:type="xsd:string">a&lt;b</value>');
  expect(typeOf(childOf(parse('<a><b xsi:type="x:Folder"/></a>'), 'a', 'b'))).toBe('Folder');
  expect(typeOf(childOf(parse('<a><b _XMLSchema-instance:type="Folder" type="other"/></a>'), 'a', 'b'))).toBe('Folder');
});

test('an answer that declares entities, or is no XML, is nothing', () => {
  expect(parse('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')).toBeUndefined();
  expect(textOf(parse('a page of a proxy'), 'Envelope')).toBeUndefined();
});

test('names are written as vSphere writes them', () => {
  expect(inventoryName('50% a/b\\c')).toBe('50%25 a%2fb%5cc');
  expect(plainName('50%25 a%2Fb%5cc')).toBe('50% a/b\\c');
});

test('addresses are those of the machine, not of its containers and not the API server', () => {
  const card = (device: number, ...addresses: string[]) =>
    `<GuestNicInfo>${addresses.map((item) => `<ipAddress>${item}</ipAddress>`).join('')}<deviceConfigId>${device}</deviceConfigId></GuestNicInfo>`;
  const net = childOf(parse(`<val>${card(4_000, '10.0.0.7', '10.0.0.2', 'fe80::1')}${card(-1, '10.244.0.1')}</val>`), 'val');
  expect(addressesOf(net, '10.0.0.2')).toEqual(['10.0.0.7']);
});

test('lists are read to their end, page by page', async () => {
  const body = (method: string, inner: string) => ({
    ok: true as const,
    value: {
      status: 200,
      headers: {},
      body: Buffer.from(`<s:Envelope xmlns:s="s"><s:Body><${method}Response>${inner}</${method}Response></s:Body></s:Envelope>`),
    },
  });
  const object = (id: string) => `<objects><obj type="VirtualMachine">${id}</obj><propSet><name>name</name><val>${id}</val></propSet></objects>`;
  const content = ['rootFolder', 'propertyCollector', 'searchIndex', 'sessionManager'].map((name) => `<${name} type="${name}">${name}</${name}>`).join('');
  const answers: Record<string, string> = {
    RetrieveServiceContent: `<returnval>${content}</returnval>`,
    Login: '<returnval><userName>me</userName></returnval>',
    RetrievePropertiesEx: `<returnval><token>1</token>${object('vm-1')}${object('vm-2')}</returnval>`,
    ContinueRetrievePropertiesEx: `<returnval>${object('vm-3')}</returnval>`,
  };
  const session = createSession({
    settings: { url: 'https://vc.test/', insecure: false },
    secret: { type: 'password', username: 'me', password: 'p' },
    http: async (request) => {
      const method = /<soapenv:Body><(\w+) /.exec(String(request.body))?.[1] ?? '';
      return body(method, answers[method] ?? '');
    },
  });
  const found = await inventoryOf(session).collect({ type: 'Folder', id: 'f' }, ways.children, { VirtualMachine: ['name'] });
  expect(found.ok ? found.value.map((item) => item.ref.id) : found).toEqual(['vm-1', 'vm-2', 'vm-3']);
});

const faultAnswer = (type: string, detail = '') =>
  parse(
    `<s:Envelope xmlns:s="s"><s:Body><s:Fault><faultstring>Words.</faultstring><detail><${type}Fault xsi:type="${type}">${detail}</${type}Fault></detail></s:Fault></s:Body></s:Envelope>`,
  );

test.each([
  ['InvalidLogin', 'blocked', 'credentials-refused'],
  ['NoPermission', 'blocked', 'permission-missing'],
  ['NoDiskSpace', 'blocked', 'quota-reached'],
  ['InsufficientMemoryResourcesFault', 'blocked', 'quota-reached'],
  ['InsufficientHostCapacityFault', 'retry', 'capacity-missing'],
  ['DuplicateName', 'retry', 'cloud-conflict'],
  ['ManagedObjectNotFound', 'retry', 'cloud-conflict'],
  ['HostNotConnected', 'retry', 'cloud-failed'],
  ['InvalidArgument', 'fatal', 'cloud-refused'],
])('%s is told as %s %s', (type, kind, code) => {
  const fault = faultOfBody(faultAnswer(type));
  expect(fault === undefined ? undefined : failureOfFault(fault, 'call')).toMatchObject({
    failure: { kind, code, message: expect.stringContaining(`Words. [${type}]`) },
  });
});

test('a missing privilege is named', () => {
  const fault = faultOfBody(faultAnswer('NoPermission', '<object type="Folder">group-v3</object><privilegeId>Folder.Create</privilegeId>'));
  expect(fault === undefined ? '' : failureOfFault(fault, 'call').failure.message).toContain('privilege Folder.Create on group-v3');
});

test('a proxy that throttles, and a vCenter that is just starting', () => {
  const answer = (status: number, headers: Record<string, string> = {}) =>
    failureOfStatus({ status, headers, body: Buffer.from('<html>503</html>') }, 'call').failure;
  expect(answer(429, { 'retry-after': '7' })).toMatchObject({ code: 'throttled', message: expect.stringContaining('7 s') });
  expect(answer(503)).toMatchObject({ kind: 'retry', code: 'cloud-failed' });
  expect(answer(200)).toMatchObject({ kind: 'retry', code: 'cloud-failed', message: expect.stringContaining('Is the address of the account right?') });
});

const ref = (type: string) => ({ type, id: `${type}-1` });
const disk = { key: '2000', capacityKiB: 10 * 2 ** 20, fileName: '[ds] a.vmdk', diskMode: 'persistent', backing: 'VirtualDiskFlatVer2BackingInfo' };
const choice: Choice = {
  source: { ref: ref('VirtualMachine'), disk, card: undefined, snapshot: undefined, isTemplate: true },
  pool: ref('ResourcePool'),
  datastore: undefined,
  host: undefined,
  plug: { kind: 'portgroup', key: 'dvportgroup-7', switchUuid: '50 1c' },
};
const scope = {
  id: 'clu_00000000000000000001',
  name: 'shop',
  zones: [],
  placement: placementSchemas.vsphere.parse({ datacenter: 'dc', template: 'noble', vip: '10.0.0.2' }),
};
const want = { name: 'shop-a', pool: 'workers', role: 'worker', size: '4x16', spot: false, userData: '#cloud-config\n', generation: 'g1' } as const;
const size = { cpus: 4, memoryMiB: 16_384 };

test('cloud-init is told the name, the place, and to wipe the user data', () => {
  const place = { address: '10.0.0.21/24', gateway: '10.0.0.1', dns: ['10.0.0.53'] };
  expect(metadataOf({ ...want, place })).toEqual({
    'instance-id': 'shop-a',
    'local-hostname': 'shop-a',
    redact: ['userdata'],
    network: {
      version: 2,
      ethernets: {
        first: {
          match: { name: 'e*' },
          dhcp4: false,
          addresses: ['10.0.0.21/24'],
          routes: [{ to: 'default', via: '10.0.0.1' }],
          nameservers: { addresses: ['10.0.0.53'] },
        },
      },
    },
  });
  expect(metadataOf(want)).not.toHaveProperty('network');
});

test('a clone brings its marks, its size, a larger disk and its network', () => {
  const spec = cloneSpecOf(scope, { ...want, diskGiB: 40 }, size, choice);
  const text = spec.ok ? element('spec', spec.value) : '';
  expect(text).toContain('<key>guestinfo.groundplane.cluster</key><value xsi:type="xsd:string">clu_00000000000000000001</value>');
  expect(text).toContain('<numCPUs>4</numCPUs><memoryMB>16384</memoryMB>');
  expect(text).toContain(`<capacityInKB>${40 * 2 ** 20}</capacityInKB>`);
  expect(text).toContain('<portgroupKey>dvportgroup-7</portgroupKey>');
  expect(text).toContain(`<key>guestinfo.userdata</key><value xsi:type="xsd:string">${Buffer.from('#cloud-config\n').toString('base64')}</value>`);
});

test.each([
  ['a smaller disk', { ...want, diskGiB: 8 }, scope, 'disks cannot shrink'],
  ['a linked clone of a template without a snapshot', want, { ...scope, placement: { ...scope.placement, linkedClones: true } }, 'no snapshot'],
])('%s cannot be had', (_name, wanted, at, words) => {
  expect(cloneSpecOf(at, wanted, size, choice)).toMatchObject({ ok: false, failure: { code: 'choice-unfit', message: expect.stringContaining(words) } });
});

test('a linked clone keeps its disk on the snapshot, and its size', () => {
  const at = { ...scope, placement: { ...scope.placement, linkedClones: true } };
  const linked = { ...choice, source: { ...choice.source, snapshot: ref('VirtualMachineSnapshot') } };
  const spec = cloneSpecOf(at, want, size, linked);
  const text = spec.ok ? element('spec', spec.value) : '';
  expect(text).toContain('<diskMoveType>createNewChildDiskBacking</diskMoveType>');
  expect(text).toContain('<snapshot type="VirtualMachineSnapshot">VirtualMachineSnapshot-1</snapshot>');
  expect(cloneSpecOf(at, { ...want, diskGiB: 40 }, size, linked)).toMatchObject({ ok: false, failure: { code: 'choice-unfit' } });
});
