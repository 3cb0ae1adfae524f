/** Names of what one `kubectl apply` makes. The manifest and the agent that later takes it away again speak of the same things. */
export const insideNames = {
  namespace: 'groundplane-agent',
  /** Service account, role, binding, deployment, Lease and label. */
  agent: 'groundplane-agent',
  ticket: 'groundplane-agent-ticket',
  key: 'groundplane-agent-key',
  start: 'groundplane-agent-start',
  state: 'groundplane-agent-state',
} as const;

/** On the ClusterRole: which rights it gives. */
export const insideModeLabel = 'groundplane.dev/mode';

export interface PolicyRule {
  apiGroups?: readonly string[];
  resources?: readonly string[];
  resourceNames?: readonly string[];
  nonResourceURLs?: readonly string[];
  verbs: readonly string[];
}

const { namespace, agent, key } = insideNames;
const rbac = 'rbac.authorization.k8s.io';

/** What it needs of the cluster to leave by itself, in either mode: its own namespace and its own two objects outside of it. */
const selfRules: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['namespaces'], resourceNames: [namespace], verbs: ['get', 'delete'] },
  { apiGroups: [rbac], resources: ['clusterroles', 'clusterrolebindings'], resourceNames: [agent], verbs: ['get', 'update', 'delete'] },
];

/** Exactly what the view of the cluster counts (`insideView` of the agent). Specs of workloads can hold passwords, so nothing is given for later. */
export const readOnlyRules: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['nodes'], verbs: ['list'] },
  { apiGroups: ['apps'], resources: ['deployments', 'statefulsets', 'daemonsets'], verbs: ['list'] },
  ...selfRules,
];

/** Layers bring definitions, roles and webhooks of any kind, so whoever applies them needs everything. */
export const fullRules: readonly PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

/** Inside its own namespace, in either mode: its key, its Lease, its inventory, and its own deployment when it updates itself. */
export const ownRules: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: [key], verbs: ['get'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: [agent], verbs: ['get', 'update'] },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'create', 'patch', 'delete'] },
  { apiGroups: ['apps'], resources: ['deployments'], resourceNames: [agent], verbs: ['get', 'update'] },
];

export type InsideMode = 'full' | 'read-only';
export const rulesOf = (mode: InsideMode): readonly PolicyRule[] => (mode === 'full' ? fullRules : readOnlyRules);
