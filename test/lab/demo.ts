import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildPack } from '@groundplane/hub/pack/write';
import type { Client } from '@groundplane/protocol/api/client';
import type { ProfileSpec } from '@groundplane/protocol/profile';

/** The lab's project and what runs in it: small enough to read in a minute, with every kind of layer but a chart. */
export const labProject = 'lab';
export const labSites = [
  { name: 'store-berlin', carrier: 'ws' },
  { name: 'store-lisbon', carrier: 'ws' },
  { name: 'warehouse-oslo', carrier: 'mqtt' },
] as const;

const web = (tag: string): string => `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: 'registry.example/shop/web:${tag}', ports: [{containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`;

const settings = `apiVersion: v1
kind: ConfigMap
metadata: {name: store-settings}
data:
  store: '{{ .spectro.var.storeName }}'
  cluster: '{{ .spectro.system.cluster.name }}'
`;

const monitor = `apiVersion: apps/v1
kind: Deployment
metadata: {name: monitor}
spec:
  selector: {matchLabels: {app: monitor}}
  template:
    metadata: {labels: {app: monitor}}
    spec: {containers: [{name: monitor, image: 'registry.example/ops/monitor:2.4'}]}
`;

const packFolder = (name: string): string => join(import.meta.dirname, '..', '..', 'packs', name);
/** Packs of the library that the lab uses: one that installs objects, and two whose values an OS and a Kubernetes layer refer to. */
const baselinePack = 'site-baseline-1.1.0';
const valuesOf = (name: string): string => readFileSync(join(packFolder(name), 'values.yaml'), 'utf8');

/** Read as plain input, as if somebody had written it; the API fills in the defaults. `baseline` is the digest of the pack, once it is uploaded. */
const labProfile = (tag: string, baseline: string): ProfileSpec =>
  ({
    type: 'full',
    description: 'What every store of the lab runs',
    variables: [{ name: 'storeName', displayName: 'Store name', description: 'Shown on receipts', required: true }],
    layers: [
      {
        name: 'base-os',
        kind: 'os',
        pack: { name: 'debian-os', version: '13.1.0', values: valuesOf('debian-os-13.1.0') },
        os: {
          files: [{ path: '/etc/motd', content: '{{ .spectro.pack.debian-os.host.motd }}\n' }],
          sysctls: {
            'vm.swappiness': '{{ .spectro.pack.debian-os.kernel.swappiness }}',
            'net.ipv4.ip_forward': '{{ .spectro.pack.debian-os.kernel.forward }}',
          },
        },
      },
      {
        name: 'kubernetes',
        kind: 'kubernetes',
        pack: { name: 'kubeadm', version: '1.34.2', values: valuesOf('kubeadm-1.34.2') },
        kubernetes: { distribution: 'existing', version: '>=1.30' },
      },
      { name: 'baseline', kind: 'addon', pack: { name: 'site-baseline', version: '1.1.0', digest: baseline } },
      { name: 'settings', kind: 'addon', namespace: 'shop', priority: 5, manifests: [{ name: 'settings', content: settings }] },
      {
        name: 'shop',
        kind: 'addon',
        namespace: 'shop',
        priority: 10,
        pack: { name: 'shop', version: tag },
        manifests: [{ name: 'web', content: web(tag) }],
        readiness: { timeoutSeconds: 30 },
      },
      {
        name: 'monitor',
        kind: 'addon',
        namespace: 'ops',
        priority: 20,
        pack: { name: 'monitor', version: '2.4.0' },
        manifests: [{ name: 'monitor', content: monitor }],
      },
    ],
  }) as unknown as ProfileSpec;

const failed = (what: string, failure: { element: string; message: string }): Error => new Error(`lab: ${what}: ${failure.element}: ${failure.message}`);

/** Where the hub is, and a key that may do everything. */
export interface LabHub {
  client: Client;
  url: string;
  key: string;
}

/** Builds a pack of the library and puts it where profiles find it by its digest. */
const uploadPack = async ({ url, key }: LabHub, name: string): Promise<string> => {
  const built = await buildPack(packFolder(name));
  if (!built.ok) throw failed(`pack ${name}`, built.failure);
  const { digest, bytes } = built.value;
  const sent = await fetch(`${url}/api/v1/content/${digest}`, { method: 'PUT', headers: { authorization: `Bearer ${key}` }, body: Buffer.from(bytes) });
  if (!sent.ok) throw new Error(`lab: pack ${name}: the hub answered ${sent.status}`);
  return digest;
};

/** Makes the lab's project, a ticket that lets its hosts in, and the profile versions; does nothing that is done already. */
export const prepareLab = async (hub: LabHub): Promise<{ ticket: string; layers: number }> => {
  const { client } = hub;
  const project = await client.call('createProject', { body: { name: labProject } });
  if (!project.ok && project.failure.code !== 'name-taken') throw failed('project', project.failure);
  const baseline = await uploadPack(hub, baselinePack);
  for (const [version, tag] of [
    ['1.0.0', '1.0'],
    ['1.1.0', '1.1'],
    ['1.2.0', 'broken'],
  ] as const) {
    const applied = await client.call('applyProfile', { params: { project: labProject, name: 'store', version }, body: { spec: labProfile(tag, baseline) } });
    if (!applied.ok && applied.failure.code !== 'immutable') throw failed(`profile ${version}`, applied.failure);
  }
  await client.call('deleteTicket', { params: { project: labProject, name: 'lab-hosts' } });
  const ticket = await client.call('createTicket', {
    params: { project: labProject },
    body: { name: 'lab-hosts', uses: 100_000, ttlSeconds: 3600, autoApprove: true, labels: { site: 'lab' } },
  });
  if (!ticket.ok) throw failed('ticket', ticket.failure);
  return { ticket: ticket.value.ticket, layers: labProfile('1.0', baseline).layers.length };
};

/** One cluster for each site, once its host has come. */
export const createLabClusters = async (client: Client): Promise<void> => {
  for (const site of labSites) {
    const known = await client.call('getCluster', { params: { project: labProject, name: site.name } });
    if (known.ok) continue;
    const made = await client.call('applyCluster', {
      params: { project: labProject, name: site.name },
      body: { labels: { site: site.name }, spec: { profiles: [{ name: 'store', version: '1.0.0' }], variables: { storeName: site.name }, hosts: [site.name] } },
    });
    if (!made.ok) throw failed(`cluster ${site.name}`, made.failure);
  }
};
