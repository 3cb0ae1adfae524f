import { gzipSync } from 'node:zlib';
import type { HelmRequest } from '@groundplane/hub/render/helm/types';

/** Charts written for these tests, each about one part of Helm. Keys are file names inside the chart. */
export type ChartFiles = Record<string, string>;

export const filesOf = (chart: ChartFiles): HelmRequest['chart'] => ({
  kind: 'files',
  files: Object.entries(chart).map(([name, data]) => ({ name, data })),
});

/** A request for a chart; everything not given is the same in all tests. */
export const requestFor = (chart: HelmRequest['chart'] | ChartFiles, rest: Partial<Omit<HelmRequest, 'chart'>> = {}): HelmRequest => ({
  values: [],
  release: { name: 'shop', namespace: 'store' },
  kubeVersion: 'v1.34.2',
  apiVersions: [],
  seed: 'hub secret, cluster, release',
  nowMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  ...rest,
  chart: 'kind' in chart && typeof chart['kind'] === 'string' ? (chart as HelmRequest['chart']) : filesOf(chart),
});

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;

/** A `.tgz` in ustar form. Names are written as they are, because some tests are about bad ones. */
export const packTgz = (entries: Record<string, string>): Uint8Array => {
  const blocks = Object.entries(entries).flatMap(([name, text]) => {
    const data = Buffer.from(text);
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write(octal(0o644, 8), 100);
    header.write(octal(0, 8), 108);
    header.write(octal(0, 8), 116);
    header.write(octal(data.length, 12), 124);
    header.write(octal(0, 12), 136);
    header.write('        0', 148);
    header.write('ustar\x0000', 257);
    header.write(
      octal(
        header.reduce((sum, byte) => sum + byte, 0),
        7,
      ),
      148,
    );
    return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return new Uint8Array(gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)])));
};

const chartYaml = (name: string, more = ''): string => `apiVersion: v2\nname: ${name}\nversion: 1.2.3\nappVersion: "9.1"\n${more}`;

/** Subcharts: condition, tags, alias, import-values, globals, and a library chart. */
export const family: ChartFiles = {
  'Chart.yaml': chartYaml(
    'family',
    `dependencies:
  - {name: db, version: 1.2.3, condition: db.enabled, import-values: [{child: exported, parent: imported}]}
  - {name: db, version: 1.2.3, alias: replica, condition: replica.enabled}
  - {name: meter, version: 1.2.3, tags: [observability]}
  - {name: words, version: 1.2.3}
`,
  ),
  'values.yaml': 'db: {enabled: true, size: 2}\nreplica: {enabled: false}\ntags: {observability: false}\nglobal: {zone: north}\n',
  'templates/_own.tpl': '{{- define "family.label" -}}{{ include "words.shout" .Release.Name }}-own{{- end -}}',
  'templates/config.yaml': `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "family.label" . | lower }}
  labels: {{- include "words.labels" . | nindent 4 }}
data:
  imported: {{ .Values.imported.port | quote }}
  subcharts: {{ keys .Subcharts | sortAlpha | join "," }}
`,
  'charts/db/Chart.yaml': chartYaml('db'),
  'charts/db/values.yaml': 'size: 1\nexported: {port: 5432}\nimage: {tag: "16", digest: abc}\n',
  'charts/db/templates/set.yaml': `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}, namespace: {{ .Release.Namespace }}}
spec: {replicas: {{ .Values.size }}, zone: {{ .Values.global.zone }}}
`,
  'charts/meter/Chart.yaml': chartYaml('meter'),
  'charts/meter/templates/service.yaml': 'apiVersion: v1\nkind: Service\nmetadata: {name: meter}\n',
  'charts/words/Chart.yaml': chartYaml('words', 'type: library\n'),
  'charts/words/templates/_words.tpl': `{{- define "words.shout" }}{{ upper . }}{{ end }}{{ define "words.labels" }}
chart: {{ .Chart.Name }}
zone: {{ .Values.global.zone }}{{ end }}`,
};

/** Values that turn every choice of `family` around. */
export const otherWayRound = 'replica: {enabled: true, size: 5}\ntags: {observability: true}\ndb: {enabled: false}\nimported: {port: 1}\n';

/** Values, tpl, files and capabilities. */
export const reader: ChartFiles = {
  'Chart.yaml': chartYaml('reader', 'kubeVersion: ">=1.30.0-0"\n'),
  'values.yaml': `keep: 1
drop: {a: 1, b: 2}
text: "{{ .Release.Name }}-{{ .Values.keep }}"
list: [1, 2]
big: 12345678901
flag: on
nested: {deep: {x: 1}}
`,
  'config/a.conf': 'alpha=1\n',
  'config/b.conf': 'beta={{ .Values.keep }}\n',
  'templates/all.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: all}
data:
  values: {{ .Values | toJson | quote }}
  tpl: {{ tpl .Values.text . | quote }}
  file: {{ .Files.Get "config/a.conf" | quote }}
  tplfile: {{ tpl (.Files.Get "config/b.conf") . | quote }}
  version: {{ with .Capabilities }}{{ .KubeVersion.Version }} {{ .KubeVersion.Major }}.{{ .KubeVersion.Minor }} {{ .HelmVersion.Version }}{{ end }}
  monitor: {{ .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" | quote }}
  apps: {{ .Capabilities.APIVersions.Has "apps/v1" | quote }}
  resource: {{ .Capabilities.APIVersions.Has "example.com/v1/Thing" | quote }}
  upgrade: "{{ .Release.IsUpgrade }} {{ .Release.IsInstall }} {{ .Release.Revision }} {{ .Release.Service }}"
  semver: {{ semverCompare ">=1.33-0" .Capabilities.KubeVersion.Version | quote }}
  missing: "[{{ .Values.nothing }}]"
  toml: {{ dict "b" 1 "a" (list 1 2) | toToml | quote }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: files}
data: {{- (.Files.Glob "config/*").AsConfig | nindent 2 }}
`,
};

/** Kinds in a wrong order, custom resource definitions, hooks and notes. */
export const lifecycle: ChartFiles = {
  'Chart.yaml': chartYaml('lifecycle'),
  'crds/things.yaml': `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec: {literal: "{{ .Values.x }}"}
`,
  'templates/z.yaml': `kind: Ingress
apiVersion: networking.k8s.io/v1
metadata: {name: last}
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: unknown-kind}
---
apiVersion: v1
kind: Namespace
metadata: {name: first}
---
# only a comment
---
apiVersion: v1
kind: Secret
metadata: {name: second, annotations: {helm.sh/resource-policy: keep}}
`,
  'templates/hooks.yaml': `{{- range $i, $event := list "pre-install,pre-upgrade" "post-install" "test" }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: job-{{ $i }}
  annotations:
    helm.sh/hook: {{ $event }}
    helm.sh/hook-weight: "{{ sub 5 $i }}"
    helm.sh/hook-delete-policy: before-hook-creation, hook-succeeded
{{- end }}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: for-hooks, annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: "-10"}}
`,
  'templates/NOTES.txt': 'Thanks for installing {{ .Chart.Name }} as {{ .Release.Name }}.\n',
};

/** Chart apiVersion v1 with its own file for dependencies. */
export const old: ChartFiles = {
  'Chart.yaml': 'name: old\nversion: 0.1.0\n',
  'requirements.yaml': 'dependencies:\n  - {name: part, version: 0.1.0, repository: "https://charts.example.com", condition: part.on}\n',
  'values.yaml': 'part: {on: true}\n',
  'templates/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}}\n',
  'charts/part/Chart.yaml': 'apiVersion: v1\nname: part\nversion: 0.1.0\n',
  'charts/part/templates/b.yaml': 'apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Chart.Name }}}\n',
};

/** Everything Helm leaves to chance. */
export const secrets: ChartFiles = {
  'Chart.yaml': chartYaml('secrets'),
  'templates/secret.yaml': `{{- $ca := genCA "shop" 365 }}
apiVersion: v1
kind: Secret
metadata: {name: generated}
stringData:
  password: {{ randAlphaNum 24 }}
  number: "{{ randInt 0 1000000 }}"
  mixed: {{ shuffle "abcdefghijklmnop" }}
  id: {{ uuidv4 }}
  hash: {{ bcrypt "secret" | quote }}
  ca: {{ $ca.Cert | b64enc }}
  cert: {{ (genSignedCert "web" nil (list "web.svc") 365 $ca).Key | b64enc }}
  key: {{ genPrivateKey "ecdsa" | b64enc }}
  when: {{ now | date "2006-01-02T15:04:05Z07:00" | quote }}
`,
};

export const schema: ChartFiles = {
  'Chart.yaml': chartYaml('schema'),
  'values.yaml': 'replicas: 1\n',
  'values.schema.json': JSON.stringify({
    $schema: 'https://json-schema.org/draft-07/schema#',
    type: 'object',
    properties: { replicas: { type: 'integer', minimum: 1 }, image: { $ref: '#/definitions/image' } },
    definitions: { image: { type: 'string' } },
  }),
  'templates/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {replicas: "{{ .Values.replicas }}"}\n',
};

/** A chart of one template. */
export const single = (template: string, more: ChartFiles = {}): ChartFiles => ({ 'Chart.yaml': chartYaml('single'), 'templates/one.yaml': template, ...more });
