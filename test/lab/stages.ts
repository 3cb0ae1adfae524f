import { parseAllDocuments, stringify } from 'yaml';
import { brokenImagePattern } from './broken-image.ts';

interface Expression {
  key: string;
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  values?: string[];
}

interface Stage {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: { resourceRef: { apiGroup: string; kind: string }; selector: { matchExpressions: Expression[] }; next: { statusTemplate?: string; delete?: boolean } };
}

/** jq: yields the images that must not start, so `Exists` finds pods that have one. */
const brokenImages = `((.spec.containers + (.spec.initContainers // []))[] | .image | select(test("${brokenImagePattern}")))`;

const pendingPod = (isJob: boolean): Expression[] => [
  { key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' },
  { key: '.status.phase', operator: 'In', values: ['Pending'] },
  { key: '.spec.nodeName', operator: 'Exists' },
  { key: '.status.containerStatuses', operator: 'DoesNotExist' },
  { key: brokenImages, operator: 'Exists' },
  { key: '.metadata.ownerReferences.[].kind', operator: isJob ? 'In' : 'NotIn', values: ['Job'] },
];

const condition = (type: string, status: string, reason: string): string => `- lastTransitionTime: {{ $now | Quote }}
  status: "${status}"
  type: ${type}
  reason: ${reason}
`;

const waitingConditions = [
  condition('Initialized', 'True', 'PodInitialized'),
  condition('Ready', 'False', 'ContainersNotReady'),
  condition('ContainersReady', 'False', 'ContainersNotReady'),
].join('');

/** What a kubelet reports while the registry has no such image. Containers that are not broken wait as well, as in a pod whose sandbox has just begun. */
const waitingTemplate = `{{ $now := Now }}
conditions:
${waitingConditions}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    waiting:
      {{ if contains "${brokenImagePattern}" .image }}
      reason: ImagePullBackOff
      message: {{ printf "Back-off pulling image %s" .image | Quote }}
      {{ else }}
      reason: ContainerCreating
      {{ end }}
{{ end }}
phase: Pending
startTime: {{ $now | Quote }}
`;

const failedTemplate = `{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      exitCode: 1
      reason: Error
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
phase: Failed
startTime: {{ $now | Quote }}
`;

const podStage = (name: string, matchExpressions: Expression[], statusTemplate: string): Stage => ({
  apiVersion: 'kwok.x-k8s.io/v1alpha1',
  kind: 'Stage',
  metadata: { name },
  spec: { resourceRef: { apiGroup: 'v1', kind: 'Pod' }, selector: { matchExpressions }, next: { statusTemplate } },
});

/** kwok's own stages, changed so that pods with a broken image never become ready, plus the two stages that tell why. */
export const labStages = (upstream: string): string => {
  const stages = parseAllDocuments(upstream).map((document) => document.toJS() as Stage | null);
  const kept = stages.filter((stage) => stage !== null);
  for (const stage of kept) {
    if (stage.metadata.name === 'pod-ready') stage.spec.selector.matchExpressions.push({ key: brokenImages, operator: 'DoesNotExist' });
  }
  const own = [podStage('pod-image-broken', pendingPod(false), waitingTemplate), podStage('pod-job-broken', pendingPod(true), failedTemplate)];
  return [...kept, ...own].map((stage) => stringify(stage)).join('---\n');
};
