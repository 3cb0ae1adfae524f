import { digestOf } from '@groundplane/protocol/digest';
import type { PackView } from '@groundplane/protocol/api/packs';
import type { ClusterValuesView, ProfilePreviewView } from '@groundplane/protocol/api/profile-views';
import type { ArtifactView, RegistryView } from '@groundplane/protocol/api/registries';
import type { ProfileView } from '@groundplane/protocol/api/views';
import { profileSpecSchema } from '@groundplane/protocol/profile';

/** Packs, charts and registries as the hub would tell them. */

export const packDigest = digestOf('web-pack');
const chartDigest = digestOf('cache-chart');

export const packValues = `# The web shop
pack:
  namespace: shop
  spectrocloud.com/install-priority: "10"
charts:
  web:
    replicas: 2 # one is enough for a lab
    ingress:
      enabled: false
      class: nginx
    admin:
      user: admin
      password: ""
`;

const presets = `presets:
  - name: small
    displayName: Small site
    group: Size
    description: One replica, no ingress
    remove: []
    add: |
      charts:
        web:
          replicas: 1
  - name: large
    displayName: Large site
    group: Size
    add: |
      charts:
        web:
          replicas: 5
          ingress:
            enabled: true
  - name: public
    displayName: Reached from outside
    group: Exposure
    add: |
      charts:
        web:
          ingress:
            class: public
`;

const schema = `charts.web.replicas:
  schema: '{{ required | format "\${number:[1-10]}" | hints "How many pods serve the shop" }}'
charts.web.ingress.enabled:
  schema: '{{ format "\${boolean}" }}'
charts.web.ingress.class:
  schema: '{{ format "\${list:[nginx,public,internal]}" | hints "Which ingress controller" }}'
charts.web.admin.user:
  schema: '{{ readonly }}'
charts.web.admin.password:
  schema: '{{ required | format "\${password}" | hints "Of the first administrator" }}'
`;

const pack: PackView = {
  kind: 'pack',
  digest: packDigest,
  size: 48_211,
  name: 'web-shop',
  version: '2.1.0',
  displayName: 'Web shop',
  layer: 'addon',
  needs: ['needs cilium from 1.17 (cni layer)', 'asks for at least 2 CPU on worker nodes'],
  charts: [{ name: 'web', version: '2.1.0', file: 'charts/web-2.1.0.tgz' }],
  manifests: [],
  values: packValues,
  presets,
  schema,
  readme: '# Web shop\n',
  findings: [{ severity: 'warning', code: 'priority-in-annotation', file: 'pack.json', line: 4, column: 1, message: 'the annotation says install-priority 5' }],
};

const chart: PackView = {
  kind: 'chart',
  digest: chartDigest,
  size: 12_004,
  name: 'cache',
  version: '7.4.2',
  displayName: 'cache',
  description: 'An in-memory store',
  needs: [],
  charts: [],
  manifests: [],
  values: 'architecture: standalone\nauth:\n  enabled: true\n  password: ""\nreplica:\n  replicaCount: 3\n',
  findings: [],
};

export const packs: ReadonlyMap<string, PackView> = new Map([pack, chart].map((each) => [each.digest, each]));

/** A pack whose every text would run in a careless page. */
export const spoiledPack = (of: PackView, texts: readonly string[]): PackView => {
  const [markup = ''] = texts;
  const quoted = JSON.stringify(markup);
  return {
    ...of,
    name: markup,
    displayName: markup,
    description: markup,
    needs: [...texts],
    charts: texts.map((text) => ({ name: text, version: text, file: text })),
    values: `${of.values}${texts.map((text, index) => `odd${index}: ${JSON.stringify(text)}\n`).join('')}${quoted}: 1\n`,
    ...(of.presets === undefined ? {} : { presets: of.presets.replaceAll('Large site', quoted).replace('One replica, no ingress', quoted) }),
    ...(of.schema === undefined ? {} : { schema: `${of.schema}odd0:\n  schema: '{{ hints \`${markup.replaceAll("'", "''")}\` }}'\n` }),
    readme: texts.join('\n'),
    findings: texts.map((text) => ({ severity: 'warning', code: 'odd', file: text, message: text })),
  };
};

export const shopSpec = profileSpecSchema.parse({
  type: 'addon',
  description: 'A web shop with its cache',
  variables: [
    { name: 'admin_password', displayName: 'Password of the administrator', required: true, sensitive: true },
    { name: 'size', inputType: 'dropdown', default: 'small', options: [{ value: 'small', label: 'Small' }, { value: 'large' }] },
  ],
  layers: [
    {
      name: 'web',
      kind: 'addon',
      pack: { name: 'web-shop', version: '2.1.0', digest: packDigest, registry: 'packs' },
      settable: ['charts.web.replicas'],
    },
    {
      name: 'cache',
      kind: 'addon',
      priority: -10,
      namespace: 'shop',
      helm: { chart: { digest: chartDigest, name: 'cache', version: '7.4.2' }, values: 'replica:\n  replicaCount: 1\n' },
    },
    {
      name: 'banner',
      kind: 'addon',
      priority: 20,
      namespace: 'shop',
      manifests: [{ name: 'text', content: 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: banner\ndata:\n  size: "{{.spectro.var.size}}"\n' }],
    },
  ],
});

export const previewOf = (spec: ProfileView['spec'], version: string): ProfilePreviewView => ({
  layers: spec.layers.map((layer) => ({
    name: layer.name,
    kind: layer.kind,
    pack: layer.pack ?? { name: layer.helm?.chart.name ?? layer.name, version: layer.helm?.chart.version ?? version },
    namespace: layer.namespace ?? 'default',
    objects: [`Deployment shop/${layer.name}`, `Service shop/${layer.name}`],
    hooks: layer.pack === undefined ? [] : ['pre-install Job shop/migrate'],
    images: [`registry.example/${layer.name}:1.0.0`],
    uses:
      layer.manifests === undefined
        ? []
        : [
            { where: 'manifest text', reference: 'spectro.var.size', origin: { from: 'default', profile: 'shop' }, sensitive: false },
            { where: 'manifest text', reference: 'spectro.macro.site', origin: { from: 'macro', scope: 'project' }, sensitive: false },
          ],
  })),
  warnings: [
    {
      severity: 'error',
      code: 'constraint-missing',
      file: 'layer web',
      message: 'web-shop 2.1.0 needs the pack cilium (from 1.17) in a cni layer, and the profile has none',
    },
    { severity: 'warning', code: 'template-unquoted', file: 'values.yaml', line: 3, message: '{{.spectro.var.size}} is not in quotes' },
  ],
});

const stamp = (id: string, atMs: number) => ({ id, createdAtMs: atMs - 3_600_000, updatedAtMs: atMs - 60_000, rowVersion: 1 });

export const makeRegistries = (atMs: number, project: string): RegistryView[] => [
  {
    ...stamp('reg_00000000000000000001', atMs),
    name: 'packs',
    project,
    kind: 'pack',
    url: 'oci://registry.example/packs',
    username: 'robot',
    mirrors: ['oci://mirror.example/packs'],
    insecure: false,
    tokenHosts: [],
    hasPassword: true,
  },
  {
    ...stamp('reg_00000000000000000002', atMs),
    name: 'stable',
    project,
    kind: 'helm',
    url: 'https://charts.example/stable',
    mirrors: [],
    insecure: false,
    tokenHosts: [],
    hasPassword: false,
  },
];

export const makeArtifacts = (atMs: number): ArtifactView[] => [
  {
    repository: 'retail/web-shop',
    tag: '2.1.0',
    digest: packDigest,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    size: 48_900,
    createdAtMs: atMs - 7_200_000,
  },
];

export const macrosOf = (atMs: number, project: string) => [
  { ...stamp('mac_00000000000000000001', atMs), name: 'site', project, value: 'north', sensitive: false },
  { ...stamp('mac_00000000000000000002', atMs), name: 'proxy_password', project, value: '(hidden)', sensitive: true },
];

export const clusterValues: ClusterValuesView = {
  layers: [
    {
      name: 'till',
      fields: [
        { path: 'charts.till.replicas', value: '3', from: 'cluster', over: ['profile'] },
        { path: 'charts.till.image.tag', value: '"2.7.0"', from: 'profile', over: [] },
      ],
      uses: [{ where: 'values', reference: 'spectro.var.greeting', origin: { from: 'cluster' }, sensitive: false }],
    },
    { name: 'ingress', fields: [], uses: [] },
  ],
};

export const clusterImages = (bundle: string) => ({
  bundle,
  items: [
    { reference: 'registry.example/till:2.7.0', layers: ['till'] },
    { reference: 'registry.example/ingress@sha256:0f3c', layers: ['ingress', 'till'] },
  ],
});
