import { digestOf } from '../digest.ts';
import type { KubeObject } from '../kubernetes.ts';
import type { InsideAgent } from './agent.ts';
import { insideModeLabel, insideNames, ownRules, rulesOf, type InsideMode } from './names.ts';

export interface InsideManifest {
  cluster: string;
  mode: InsideMode;
  image: string;
  /** `line` lets the agent in, once; its `id` is no secret. */
  ticket: { id: string; line: string };
  /** Program that fetches the agent and becomes it; runs with what the image brings. */
  start: string;
  /** Which manifest this is (`insideMark`); the agent tells it to the hub. */
  mark: string;
  /** Base of the packages' addresses; `/DIGEST` follows. */
  packages: string;
  agent: InsideAgent;
  /** A volume of this size keeps the agent's memory; without it the memory goes with the pod and is read anew. */
  storage?: string | undefined;
  proxy?: { http?: string | undefined; https?: string | undefined; except: readonly string[] } | undefined;
}

/** Folders of the container. */
export const insideFolders = { home: '/var/lib/groundplane', start: '/etc/groundplane/start', ticket: '/etc/groundplane/ticket' } as const;
export const probePort = 8080;
/** Not 0, not a person's: what the pod security standard "restricted" wants. */
const user = 10_001;

const { namespace, agent: name } = insideNames;
const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'groundplane' };
const at = (which: string) => ({ name: which, namespace, labels });

/** `{"version":…,"x64":"sha256:…"}`: what a pod runs, in one variable. */
export const packageText = ({ version, packages }: InsideAgent): string =>
  JSON.stringify({ version, ...Object.fromEntries(Object.entries(packages).flatMap(([arch, item]) => (item === undefined ? [] : [[arch, item.digest]]))) });

const environment = (input: InsideManifest): { name: string; value?: string; valueFrom?: unknown }[] => {
  const { http, https, except = [] } = input.proxy ?? {};
  const isProxied = http !== undefined || https !== undefined;
  // The API server is not behind the proxy.
  const noProxy = [...except, 'localhost', '127.0.0.1', '.svc', '.cluster.local', '$(KUBERNETES_SERVICE_HOST)'].join(',');
  const proxy = isProxied ? { HTTP_PROXY: http, HTTPS_PROXY: https ?? http, NO_PROXY: noProxy, NODE_USE_ENV_PROXY: '1' } : {};
  return [
    { name: 'GROUNDPLANE_PACKAGES', value: input.packages },
    { name: 'GROUNDPLANE_PACKAGE', value: packageText(input.agent) },
    { name: 'GROUNDPLANE_HOME', value: insideFolders.home },
    { name: 'GROUNDPLANE_MANIFEST', value: input.mark },
    { name: 'GROUNDPLANE_TICKET', value: `${insideFolders.ticket}/ticket` },
    { name: 'GROUNDPLANE_PROBE_PORT', value: String(probePort) },
    { name: 'GROUNDPLANE_POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'TMPDIR', value: insideFolders.home },
    ...Object.entries(proxy).flatMap(([key, value]) => (value === undefined ? [] : [{ name: key, value }])),
  ];
};

const probe = (path: string, seconds: number, failures: number) => ({
  httpGet: { path, port: probePort },
  periodSeconds: seconds,
  timeoutSeconds: 5,
  failureThreshold: failures,
});

const container = (input: InsideManifest) => ({
  name: 'agent',
  image: input.image,
  imagePullPolicy: 'IfNotPresent',
  command: ['node', `${insideFolders.start}/start.mjs`],
  env: environment(input),
  ports: [{ name: 'probe', containerPort: probePort }],
  // The package comes over the line first, which takes what the line takes.
  startupProbe: probe('/healthz', 10, 180),
  livenessProbe: probe('/healthz', 20, 6),
  readinessProbe: probe('/readyz', 10, 3),
  resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  },
  volumeMounts: [
    { name: 'home', mountPath: insideFolders.home },
    { name: 'start', mountPath: insideFolders.start, readOnly: true },
    { name: 'ticket', mountPath: insideFolders.ticket, readOnly: true },
  ],
});

const deployment = (input: InsideManifest): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { ...at(name), annotations: { 'groundplane.dev/cluster': input.cluster } },
  spec: {
    replicas: 1,
    revisionHistoryLimit: 2,
    // Only one acts at a time anyway, by its Lease; and a volume goes to one node.
    strategy: { type: 'Recreate' },
    selector: { matchLabels: { 'app.kubernetes.io/name': name } },
    template: {
      // A pod that is there has read the ticket of before: with a new one it starts anew.
      metadata: { labels, annotations: { 'groundplane.dev/ticket': input.ticket.id } },
      spec: {
        serviceAccountName: name,
        terminationGracePeriodSeconds: 30,
        securityContext: { runAsNonRoot: true, runAsUser: user, runAsGroup: user, fsGroup: user, seccompProfile: { type: 'RuntimeDefault' } },
        nodeSelector: { 'kubernetes.io/os': 'linux' },
        containers: [container(input)],
        volumes: [
          { name: 'home', ...(input.storage === undefined ? { emptyDir: { sizeLimit: '2Gi' } } : { persistentVolumeClaim: { claimName: insideNames.state } }) },
          { name: 'start', configMap: { name: insideNames.start } },
          { name: 'ticket', secret: { secretName: insideNames.ticket, defaultMode: 0o440 } },
        ],
      },
    },
  },
});

const bindings = (mode: InsideMode): KubeObject[] => {
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const group = 'rbac.authorization.k8s.io';
  const api = `${group}/v1`;
  return [
    { apiVersion: api, kind: 'ClusterRole', metadata: { name, labels: { ...labels, [insideModeLabel]: mode } }, rules: rulesOf(mode) },
    { apiVersion: api, kind: 'ClusterRoleBinding', metadata: { name, labels }, subjects, roleRef: { apiGroup: group, kind: 'ClusterRole', name } },
    { apiVersion: api, kind: 'Role', metadata: at(name), rules: ownRules },
    { apiVersion: api, kind: 'RoleBinding', metadata: at(name), subjects, roleRef: { apiGroup: group, kind: 'Role', name } },
  ];
};

/** Everything that one `kubectl apply` needs, in the order in which it has to come. */
export const insideObjects = (input: InsideManifest): KubeObject[] => [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' } },
  },
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: at(name) },
  ...bindings(input.mode),
  { apiVersion: 'v1', kind: 'Secret', metadata: at(insideNames.ticket), type: 'Opaque', stringData: { ticket: input.ticket.line } },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: at(insideNames.start), data: { 'start.mjs': input.start } },
  ...(input.storage === undefined
    ? []
    : [
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: at(insideNames.state),
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: input.storage } } },
        },
      ]),
  deployment(input),
];

/**
 * Of everything in the manifest that a hub's release decides, and nothing that people choose: another one means that the cluster has it from another release. What an
 * agent updates by itself is not in it.
 */
export const insideMark = (start: string): string => {
  const sample = { cluster: '', image: '', ticket: { id: '', line: '' }, start, mark: '', packages: '', agent: { version: '', packages: {} } };
  const chosen = { storage: '1Gi', proxy: { https: 'https://proxy', except: [] } };
  const all = [insideObjects({ ...sample, mode: 'read-only' }), insideObjects({ ...sample, ...chosen, mode: 'full' })];
  return digestOf(all).replace('sha256:', '').slice(0, 16);
};
