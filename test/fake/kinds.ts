import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { ApiResource } from '@groundplane/agent/port/cluster';

export interface KindFacts extends ApiResource {
  /** Counts changes of everything but metadata and status. */
  hasGeneration: boolean;
  /** Status is written through its own door only; writers of the object cannot change it. */
  hasStatus: boolean;
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;

/** apiVersion, then `Kind/plural:marks`; marks are `*` cluster-scoped, `g` generation, `s` status. */
const table: Record<string, string> = {
  v1: [
    'Namespace/namespaces:*s Node/nodes:*s PersistentVolume/persistentvolumes:*s ConfigMap/configmaps Secret/secrets',
    'Service/services:s ServiceAccount/serviceaccounts Pod/pods:gs PersistentVolumeClaim/persistentvolumeclaims:s Endpoints/endpoints',
    'Event/events LimitRange/limitranges ResourceQuota/resourcequotas:s ReplicationController/replicationcontrollers:gs',
  ].join(' '),
  'apps/v1': 'Deployment/deployments:gs StatefulSet/statefulsets:gs DaemonSet/daemonsets:gs ReplicaSet/replicasets:gs ControllerRevision/controllerrevisions',
  'batch/v1': 'Job/jobs:gs CronJob/cronjobs:gs',
  'autoscaling/v2': 'HorizontalPodAutoscaler/horizontalpodautoscalers:s',
  'policy/v1': 'PodDisruptionBudget/poddisruptionbudgets:gs',
  'networking.k8s.io/v1': 'Ingress/ingresses:gs NetworkPolicy/networkpolicies:g IngressClass/ingressclasses:*g',
  'rbac.authorization.k8s.io/v1': 'Role/roles RoleBinding/rolebindings ClusterRole/clusterroles:* ClusterRoleBinding/clusterrolebindings:*',
  'storage.k8s.io/v1': 'StorageClass/storageclasses:* CSIDriver/csidrivers:* VolumeAttachment/volumeattachments:*s',
  'scheduling.k8s.io/v1': 'PriorityClass/priorityclasses:*',
  'coordination.k8s.io/v1': 'Lease/leases',
  'discovery.k8s.io/v1': 'EndpointSlice/endpointslices',
  'apiextensions.k8s.io/v1': 'CustomResourceDefinition/customresourcedefinitions:*gs',
  'apiregistration.k8s.io/v1': 'APIService/apiservices:*s',
  'admissionregistration.k8s.io/v1':
    'ValidatingWebhookConfiguration/validatingwebhookconfigurations:*g MutatingWebhookConfiguration/mutatingwebhookconfigurations:*g',
};

const builtIn = new Map<string, KindFacts>(
  Object.entries(table).flatMap(([apiVersion, kinds]) =>
    kinds.split(' ').map((entry): [string, KindFacts] => {
      const [kind = '', resource = '', marks = ''] = entry.split(/[/:]/);
      const facts = { apiVersion, kind, resource, namespaced: !marks.includes('*'), verbs, hasGeneration: marks.includes('g'), hasStatus: marks.includes('s') };
      return [`${apiVersion}/${kind}`, facts];
    }),
  ),
);

interface DefinitionSpec {
  group?: string;
  scope?: string;
  names?: { kind?: string; plural?: string };
  versions?: { name?: string; served?: boolean; subresources?: { status?: object } }[];
}

export const isEstablished = (definition: KubeObject): boolean => {
  const { conditions = [] } = (definition['status'] ?? {}) as { conditions?: { type?: string; status?: string }[] };
  return conditions.some((condition) => condition.type === 'Established' && condition.status === 'True');
};

/** Kinds that a CustomResourceDefinition adds once it is established. */
export const definedKinds = (definition: KubeObject): KindFacts[] => {
  const spec = (definition['spec'] ?? {}) as DefinitionSpec;
  if (!isEstablished(definition)) return [];
  return (spec.versions ?? [])
    .filter((version) => version.served === true)
    .map((version) => ({
      apiVersion: `${spec.group ?? ''}/${version.name ?? ''}`,
      kind: spec.names?.kind ?? '',
      resource: spec.names?.plural ?? '',
      namespaced: spec.scope === 'Namespaced',
      verbs,
      hasGeneration: true,
      hasStatus: version.subresources?.status !== undefined,
    }));
};

/** Every kind that is served, one version each. */
export const allKinds = (definitions: readonly KubeObject[]): KindFacts[] => {
  const kinds = [...builtIn.values(), ...definitions.flatMap(definedKinds)];
  const key = ({ apiVersion, kind }: KindFacts): string => `${apiVersion.slice(0, apiVersion.lastIndexOf('/') + 1)}${kind}`;
  return kinds.filter((facts, index) => kinds.findIndex((other) => key(other) === key(facts)) === index);
};

export const findKind = (apiVersion: string, kind: string, definitions: readonly KubeObject[]): KindFacts | undefined =>
  builtIn.get(`${apiVersion}/${kind}`) ?? definitions.flatMap(definedKinds).find((facts) => facts.apiVersion === apiVersion && facts.kind === kind);
