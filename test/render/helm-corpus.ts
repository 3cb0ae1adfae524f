import { setCases } from './helm-sets.ts';
import type { HelmRequest } from '@groundplane/hub/render/helm/types';
import { single, type ChartFiles } from './helm-charts.ts';

/** One chart per feature of Helm, to be compared with the real command. */
export type CorpusCase = [name: string, chart: ChartFiles, rest?: Partial<Omit<HelmRequest, 'chart'>>];

const meta = (name: string, more = ''): string => `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n${more}`;
/** Prints what a chart sees, as one object. */
const dump = (what = '.Values'): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}}\ndata:\n  all: {{ ${what} | toJson | quote }}\n`;

const subcharts: ChartFiles = {
  'Chart.yaml': meta(
    'root',
    `dependencies:
  - {name: a, version: ">=0.1", condition: "a.enabled,global.a"}
  - {name: a, version: 1.0.0, alias: second, condition: second.enabled, tags: [two]}
  - {name: b, version: 1.0.0, tags: [extra, more], import-values: [data, {child: deep.values, parent: taken.here}]}
  - {name: c, version: 1.0.0, import-values: [{child: nested.export, parent: .}]}
`,
  ),
  'values.yaml': 'a: {x: from-root, gone: 1}\nsecond: {x: two}\nb: {y: root}\nglobal: {zone: north, list: [1, 2]}\ntags: {extra: true}\ndata1: own\n',
  'templates/t.yaml': dump(),
  'charts/a/Chart.yaml': meta('a', 'dependencies: [{name: inner, version: 1.0.0, condition: inner.on}]\n'),
  'charts/a/values.yaml': 'x: own\ngone: 2\nkept: {p: 1, q: 2}\ninner: {on: true, z: a}\nglobal: {from: a, zone: a}\n',
  'charts/a/templates/t.yaml': dump(),
  'charts/a/charts/inner/Chart.yaml': meta('inner'),
  'charts/a/charts/inner/values.yaml': 'z: own\nw: {v: 1}\nglobal: {inner: true}\n',
  'charts/a/charts/inner/templates/t.yaml': dump(),
  'charts/b/Chart.yaml': meta('b'),
  'charts/b/values.yaml': 'y: own\nexports:\n  data:\n    data1: imported\n    data2: {k: v}\ndeep: {values: {n: 1, m: [1]}}\n',
  'charts/b/templates/t.yaml': dump(),
  'charts/c/Chart.yaml': meta('c', 'dependencies: [{name: d, version: 1.0.0, import-values: [{child: out, parent: nested.export}]}]\n'),
  'charts/c/templates/t.yaml': dump(),
  'charts/c/charts/d/Chart.yaml': meta('d'),
  'charts/c/charts/d/values.yaml': 'out: {grand: child}\n',
  'charts/c/charts/d/templates/t.yaml': dump('.Values.global'),
};

const filesChart: ChartFiles = {
  'Chart.yaml': meta('files'),
  'conf/a.ini': 'one=1\ntwo=2\n\nlast',
  'conf/deep/b.txt': 'größe {{ .Values.x }}\n',
  'conf/win.txt': 'crlf\r\nline\r\n',
  'conf/empty': '',
  'README.md': 'hello\n',
  'templates/t.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data:
{{ (.Files.Glob "conf/**").AsConfig | indent 2 }}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {{- (.Files.Glob "conf/*.{ini,txt}").AsSecrets | nindent 2 }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: l}
data:
  {{- range $i, $line := .Files.Lines "conf/a.ini" }}
  line{{ $i }}: {{ $line | quote }}
  {{- end }}
  missing: {{ .Files.Get "nothing" | quote }}
  template: {{ .Files.Get "templates/t.yaml" | len }}
  self: {{ .Files.Get "Chart.yaml" | len }}
  bytes: {{ .Files.GetBytes "conf/deep/b.txt" | len }}
  readme: {{ .Files.Get "README.md" | quote }}
  names: {{ range $path, $_ := .Files.Glob "**" }}{{ $path }} {{ end }}
  base: {{ .Template.BasePath }} {{ .Template.Name }}
`,
};

const hooks: ChartFiles = {
  'Chart.yaml': meta('hooks'),
  'templates/h.yaml': `{{- range $i, $e := list "pre-install" "post-install" "pre-delete" "post-delete" "pre-upgrade" "post-upgrade" "pre-rollback" "post-rollback" "test" "test-success" }}
---
apiVersion: batch/v1
kind: {{ if mod $i 2 }}Job{{ else }}Pod{{ end }}
metadata:
  name: h{{ $i }}
  annotations: {"helm.sh/hook": "{{ $e }}{{ if eq $i 0 }}, post-install{{ end }}", "helm.sh/hook-weight": "{{ sub 3 $i }}", "helm.sh/hook-delete-policy": "hook-failed,before-hook-creation"}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: no-weight, annotations: {"helm.sh/hook": pre-install}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: bad-weight, annotations: {"helm.sh/hook": pre-install, "helm.sh/hook-weight": "x"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: unknown-event, annotations: {"helm.sh/hook": "pre-nothing"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: empty-event, annotations: {"helm.sh/hook": ""}}
---
apiVersion: v1
kind: Secret
metadata: {name: kept, annotations: {"helm.sh/resource-policy": keep}}
`,
};

const oddYaml: ChartFiles = {
  'Chart.yaml': meta('odd'),
  'values.yaml': `base: &base {a: 1, b: [x, y]}
merged: {<<: *base, b: z}
again: *base
yes: yes
on: on
off: "off"
n: n
null1: null
null2: ~
null3:
octal: 0644
octal2: 0o644
hex: 0x1F
bin: 0b101
big: 12345678901234567890
long: 1234567890123456789
float: 1.50
exp: 1e3
neg: -0
date: 2026-01-02
time: 2026-01-02T03:04:05Z
sexa: 22:22
under: 1_000
text: |
  a

  b
folded: >-
  a
  b
quoted: 'it''s'
unicode: "\\u00e9 ☃ 😀"
"key with spaces": 1
1: number key
true: bool key
empty: {}
none: []
str: "123"
tab: "a\\tb"
binary: !!binary aGVsbG8=
strtag: !!str 12
`,
  'templates/t.yaml': dump(),
  'templates/types.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: types}
data:
{{- range $k, $v := .Values }}
  {{ $k | toString | quote }}: {{ kindOf $v }} {{ $v | toString | quote | replace ":" "_" }}
{{- end }}
`,
};

const documents: ChartFiles = {
  'Chart.yaml': meta('documents'),
  'templates/a.yaml': '\uFEFFapiVersion: v1\nkind: ConfigMap\nmetadata: {name: bom}\n',
  'templates/b.yaml': 'apiVersion: v1\r\nkind: ConfigMap\r\nmetadata:\r\n  name: crlf\r\n---\r\napiVersion: v1\r\nkind: Secret\r\nmetadata: {name: crlf2}\r\n',
  'templates/c.yaml': '---\n---\n\n---\n# comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: after}\n---\n',
  'templates/d.yaml':
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text}\ndata:\n  a: |\n    ---\n    inside\n  b: "x --- y"\n--- \napiVersion: v1\nkind: ConfigMap\nmetadata: {name: spaced}\n',
  'templates/e.yaml': '# only a comment\n{{/* and another */}}\n',
  'templates/f.yaml': '{{ if false }}a: 1{{ end }}\n\n',
  'templates/g.yaml': 'apiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: ConfigMap, metadata: {name: in-list}}\n',
  'templates/_h.tpl': '{{ define "x" }}y{{ end }}',
  'templates/_ignored.yaml': 'not: printed\n',
  'templates/deep/er/i.yaml': `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${'n'.repeat(200)}}\n`,
  'templates/j.json': '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}}',
  'templates/k.txt': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: txt}\n',
  'templates/l.yml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ünïcode, labels: {"ключ": "значение"}}\n',
};

const schemas: ChartFiles = {
  'Chart.yaml': meta('schemas', 'dependencies: [{name: sub, version: 1.0.0}]\n'),
  'values.yaml': 'port: 80\nname: x\nsub: {count: 1}\n',
  'values.schema.json': JSON.stringify({
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    required: ['port'],
    properties: { port: { $ref: '#/definitions/port' }, name: { type: 'string', pattern: '^[a-z]+$' }, mode: { enum: ['a', 'b'] } },
    definitions: { port: { type: 'integer', minimum: 1, maximum: 65535 } },
  }),
  'templates/t.yaml': dump(),
  'charts/sub/Chart.yaml': meta('sub'),
  'charts/sub/values.schema.json': JSON.stringify({ properties: { count: { type: 'integer' } }, additionalProperties: true }),
  'charts/sub/templates/t.yaml': dump(),
};

const functions = single(`apiVersion: v1
kind: ConfigMap
metadata: {name: f}
data:
  tpl: {{ tpl "{{ .Release.Name }}-{{ include \\"one\\" . }}" . | quote }}
  nested: {{ tpl (tpl "{{ \\"{{ .Chart.Name }}\\" }}" .) . | quote }}
  lookup: {{ lookup "v1" "Secret" "" "" | toJson | quote }}
  lookupOne: {{ (lookup "v1" "Secret" "a" "b").data | default "none" | quote }}
  caps: "{{ .Capabilities.KubeVersion }} {{ .Capabilities.KubeVersion.GitVersion }} {{ .Capabilities.APIVersions.Has "batch/v1" }} {{ .Capabilities.APIVersions.Has "batch/v1/CronJob" }} {{ .Capabilities.APIVersions.Has "x/v1" }}"
  helm: {{ .Capabilities.HelmVersion.Version | quote }}
  release: {{ .Release | toJson | quote }}
  chart: "{{ .Chart.Name }} {{ .Chart.Version }} {{ .Chart.AppVersion }} {{ .Chart.IsRoot }} {{ .Chart.Type }}"
  root: {{ $.Template | toJson | quote }}
  semver: "{{ semverCompare "^1.2.0" "1.3.0" }} {{ (semver "1.2.3-a+b").Prerelease }}"
  fromYaml: {{ fromYaml "a: 0644\\nb: yes\\nc: [1, 2.0]\\nd: 2026-01-02\\ne: 22:22\\n" | toJson | quote }}
  fromBad: {{ fromYaml "a: [" | toJson | quote }}
  fromJson: {{ fromJson "{\\"a\\": 1.0, \\"b\\": 12345678901}" | toJson | quote }}
  toYaml: {{ dict "z" 1 "a" (list "x" 2 nil true 1.0 "1" "yes" "0644" "~") "m" (dict) | toYaml | quote }}
  pretty: {{ dict "b" "<&>" "a" 1 | toPrettyJson | quote }}
  raw: {{ dict "b" "<&>" | toRawJson | quote }}
  toml: {{ dict "b" "x" "a" (dict "c" 1) | toToml | quote }}
  merge: {{ merge (dict "a" 1) (dict "a" 2 "b" (dict "c" 3)) | toJson | quote }}
  overwrite: {{ mustMergeOverwrite (dict "a" (dict "x" 1)) (dict "a" (dict "y" 2)) | toJson | quote }}
  dig: {{ dig "a" "b" "none" (dict "a" (dict "b" "deep")) | quote }}
  ternary: {{ ternary "t" "f" true }}
  trunc: {{ "abcdefghij" | trunc -3 }} {{ "a-b_c.d" | kebabcase }} {{ "x y" | camelcase }}
  dates: {{ toDate "2006-01-02" "2026-03-04" | date "02 Jan 06" }} {{ duration 95 }} {{ durationRound "2h10m5s" }}
  math: {{ add 1 2.5 "3" }} {{ div 7 2 }} {{ mulf 1.5 2 }} {{ round 1.2345 2 }} {{ max 1 3 2 }} {{ floor -1.5 }}
  regex: {{ regexReplaceAll "a(b+)" "xabbb" "\${1}-" }} {{ regexFindAll "[a-z]+" "a1bc" -1 | join "," }}
  b64: {{ "ü" | b64enc }} {{ "w7w=" | b64dec }} {{ sha256sum "x" | trunc 8 }} {{ adler32sum "x" }}
  url: {{ urlParse "https://u:p@h:1/p?q#f" | toJson | quote }}
  sorted: {{ list "b" "a" "C" | sortAlpha | join "," }} {{ list 3 1 | first }} {{ uniq (list 1 1 2) | toJson }} {{ chunk 2 (list 1 2 3) | toJson }}
  print: {{ printf "%05d %-5s| %q %v %T" 42 "ab" "q" (list 1 "a") 1.0 | quote }}
  index: {{ index (dict "a" (list 1 2)) "a" 1 }}
  without: x {{ without (list 1 2 3) 2 | toJson }} {{ omit (dict "a" 1 "b" 2) "a" | toJson }} {{ pick (dict "a" 1 "b" 2) "a" | toJson }}
  required: {{ required "x" "given" }}
  coalesce: {{ coalesce "" 0 nil "last" }} {{ empty (dict) }} {{ hasKey (dict "a" nil) "a" }} {{ default 5 0 }}
  quotes: x {{ squote "it's" 1 }} {{ quote "a\\"b" nil 2 }}
  indent: |
    {{- "a\\nb" | nindent 4 }}
  range: {{ range $i, $c := tuple "x" "y" }}{{ $i }}{{ $c }}{{ else }}none{{ end }}
  break: {{ range until 9 }}{{ if gt . 3 }}{{ break }}{{ end }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}
{{- define "one" }}1{{ end }}
`);

const notes: ChartFiles = {
  'Chart.yaml': meta('notes', 'dependencies: [{name: sub, version: 1.0.0}]\n'),
  'templates/NOTES.txt': 'root notes {{ .Release.Name }}\n',
  'templates/t.yaml': dump('.Release.Name'),
  'charts/sub/Chart.yaml': meta('sub'),
  'charts/sub/templates/NOTES.txt': 'sub notes {{ .Release.Name }}\n',
};

const crds: ChartFiles = {
  'Chart.yaml': meta('crds', 'dependencies: [{name: sub, version: 1.0.0, condition: sub.on}]\n'),
  'values.yaml': 'sub: {on: true}\n',
  'crds/b.yaml':
    'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: b}\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: "{{ not }}"}\n',
  'crds/a.yaml': 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n',
  'crds/deep/c.yaml': 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: c}\n',
  'charts/sub/Chart.yaml': meta('sub'),
  'charts/sub/crds/s.yaml': 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: s}\n',
  'templates/crd.yaml': 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: templated-{{ .Release.Name }}}\n',
};

const library: ChartFiles = {
  'Chart.yaml': meta('app', 'dependencies: [{name: lib, version: 1.0.0, import-values: [defaults]}]\n'),
  'templates/t.yaml': '{{ include "lib.map" (dict "name" "made" "top" .) }}\n',
  'charts/lib/Chart.yaml': meta('lib', 'type: library\n'),
  'charts/lib/values.yaml': 'exports: {defaults: {fromLib: 1}}\nown: 2\n',
  'charts/lib/templates/_map.tpl':
    '{{ define "lib.map" }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .name }}}\ndata: {all: {{ .top.Values | toJson | quote }}}{{ end }}',
  'charts/lib/templates/never.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: never}\n',
};

const values = single(dump(), {
  'values.yaml': 'a: {b: 1, c: {d: 2, e: [1, 2, 3]}}\nlist: [{n: 1}, {n: 2}]\ns: x\nsub: {keep: 1}\nnil: null\n',
});

export const corpus: CorpusCase[] = [
  ['dependencies, aliases, conditions, tags, import-values, globals, nesting', subcharts],
  ['conditions and tags the other way', subcharts, { values: ['a: {enabled: false}\nsecond: {enabled: false}\ntags: {extra: false, more: true}\n'] }],
  ['a condition that is no boolean', subcharts, { values: ['a: {enabled: "no"}\n'] }],
  ['a condition from a global', subcharts, { values: ['global: {a: false}\n'] }],
  ['null deletes in a subchart', subcharts, { values: ['a: {gone: null, kept: {p: null}, inner: {w: null}}\nb: {deep: null}\nglobal: {zone: null}\n'] }],
  ['null for a whole subchart', subcharts, { values: ['a: null\n'] }],
  ['a table over a scalar and back', subcharts, { values: ['a: {x: {now: map}, kept: scalar}\n'] }],
  ['globals set at the top win', subcharts, { values: ['global: {zone: mine, inner: false, added: {x: 1}}\n'] }],
  ['a dependency of another version than Chart.yaml says', { ...subcharts, 'Chart.yaml': meta('root', 'dependencies: [{name: a, version: 9.9.9}]\n') }],
  ['files', filesChart],
  ['all hooks', hooks],
  ['all hooks on upgrade', hooks, { release: { name: 'up', namespace: 'other', isUpgrade: true } }],
  ['odd YAML in values', oddYaml],
  ['odd YAML in a layer', oddYaml, { values: [oddYaml['values.yaml'] ?? '', 'yes: 1\n"yes": 2\n'] }],
  ['documents, BOM, CRLF, comments, dashes', documents],
  ['functions', functions, { apiVersions: ['x/v1', 'batch/v1/CronJob'] }],
  ['notes', notes],
  ['CRDs', crds],
  ['CRDs of a disabled subchart', crds, { values: ['sub: {on: false}\n'] }],
  ['a library chart', library],
  ['schemas', schemas],
  ['schemas: other values that fit', schemas, { values: ['port: 65535\nmode: b\nsub: {count: 7}\n'] }],
  ['schemas skipped', schemas, { values: ['port: no\n'], skipSchema: true }],
  ['three layers', values, { values: ['a: {c: null}\n', 'a: {c: {f: 1}}\nlist: null\n', 'list: [9]\nnil: 1\n'] }],
  ['an empty layer and one of comments', values, { values: ['', '# nothing\n', '{}\n', '---\n'] }],
  ...setCases.map(([name, rest]): CorpusCase => [name, values, rest]),
  ['BOM and CRLF in values', values, { values: ['\uFEFFa: {b: 9}\r\ns: "x"\r\n'] }],
  ['long names', { ...values, 'Chart.yaml': meta(`n${'a'.repeat(200)}`) }, { release: { name: 'r'.repeat(53), namespace: 'n'.repeat(63) } }],
  ['a Kubernetes version of a vendor', functions, { kubeVersion: 'v1.33.4-eks-abc123' }],
  ['a Kubernetes version without v', functions, { kubeVersion: '1.33' }],
];

const broken = (template: string): ChartFiles => single(template);

/** What both must refuse, in the same words. */
export const refusals: CorpusCase[] = [
  ['schema: type', schemas, { values: ['port: text\n'] }],
  ['schema: several', schemas, { values: ['port: 0\nname: UPPER\nmode: c\n'] }],
  ['schema of a subchart', schemas, { values: ['sub: {count: many}\n'] }],
  ['schema: broken JSON', { ...schemas, 'values.schema.json': '{' }],
  ['fail', broken('{{ fail "stop here" }}')],
  ['required in an include', broken('{{ define "a" }}{{ required "need it" .Values.x }}{{ end }}\n\n{{ include "a" . }}')],
  ['an unknown template', broken('{{ include "none" . }}')],
  ['an unknown function', broken('\n{{ unknown }}')],
  ['a wrong type', broken('{{ range .Values.s }}{{ end }}{{ index .Values.list 9 }}'), { values: ['s: {}\nlist: [1]\n'] }],
  ['tpl with a fault', broken('{{ tpl "{{ .Values.a.b.c }}" . }}')],
  ['an unclosed block', broken('a: 1\n{{ if true }}\nb: 2\n')],
  ['bad YAML', broken('a: b: c\n')],
  ['tabs', broken('a:\n\tb: 1\n')],
  ['set: a broken expression', values, { sets: [{ as: 'set', text: 'a[x]=1' }] }],
  ['set-string: a broken expression', values, { sets: [{ as: 'string', text: 'a[x]=1' }] }],
  ['set-json: no JSON', values, { sets: [{ as: 'json', text: 'a={x' }] }],
  ['set: an index that is too large', values, { sets: [{ as: 'set', text: 'l[70000]=1' }] }],
  ['values: a list', values, { values: ['- 1\n'] }],
  ['values: infinity', values, { values: ['a: .inf\n'] }],
  ['values: broken', values, { values: ['a: {\n'] }],
  ['chart: no name', { 'Chart.yaml': 'apiVersion: v2\nversion: 1.0.0\n' }],
  ['chart: no version', { 'Chart.yaml': 'apiVersion: v2\nname: a\n' }],
  ['chart: a name with a slash', { 'Chart.yaml': 'apiVersion: v2\nname: ../a\nversion: 1.0.0\n' }],
  ['chart: an unknown type', { 'Chart.yaml': 'apiVersion: v2\nname: a\nversion: 1.0.0\ntype: other\n' }],
  ['chart: an impossible Kubernetes', { 'Chart.yaml': 'apiVersion: v2\nname: a\nversion: 1.0.0\nkubeVersion: ">=2.0.0"\n', 'templates/a.yaml': 'a: 1\n' }],
  ['dependency: missing', { 'Chart.yaml': meta('root', 'dependencies: [{name: gone, version: 1.0.0}]\n') }],
];
