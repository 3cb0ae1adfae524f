import { parse, stringify } from 'yaml';
import { jsonOf, chartOf, plainPack, valuesText, type PackTexts } from './packs.ts';

/** Numbers from a seed (mulberry32): a mutant that fails can be made again. */
export const numbersFrom = (seed: number) => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (max: number): number => Math.floor(next() * max);
  return { below, pick: <T>(items: readonly T[]): T => items[below(items.length)] as T };
};
type Numbers = ReturnType<typeof numbersFrom>;

const presets = `presets:
- name: small
  group: Size - hosts
  remove: [charts.web.cache, manifests.tools.x]
  add: |
    charts:
      web:
        replicas: 1
        list: [a, {b: c}]
- {name: large, group: Size - hosts, add: "charts: {web: {replicas: 9, cache: {on: true}}}"}
- {name: open, group: Access, remove: [], add: "manifests: {tools: {open: true}}"}
`;
const schema = `charts.web.replicas: {schema: '{{ required | format "\${number:[1-99]}" | hints "How many" }}'}
charts.web.hosts.$[]: {schema: '{{ format "\${string}.\${list:[example,test]}" }}'}
manifests.tools.image: {schema: '{{ readonly | format "\${string}/\${string}:\${version}" }}'}
`;
const rich = `# spectrocloud.com/enabled-presets: Size - hosts:small,Access:open
pack:
  namespace: shop
  additionalNamespaces: [jobs]
  namespaceLabels: {shop: "a=b,c={{ .spectro.system.x | substr 0 4 }}"}
  releaseNameOverride: {db: data}
  content:
    images:
      - image: registry.example/web:1.0.0
      - iamge: registry.example/db:2
  spectrocloud.com/install-priority: "10"
readinessCheck: {deployments: [web]}
charts:
  web:
    replicas: 1 # one
    hosts: [a.example, b.test]
    base: &base {cpu: 1}
    more: *base
    text: |
      line {{ .Values.x }}
        deeper
  db: {size: 1Gi, url: "{{ .spectro.var.url }}"}
manifests:
  tools: {image: a/b:1.0.0, open: true}
  raw: {contents: "apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: raw}"}
`;

/** Packs to start from: a plain one, one with everything, an old one, one of manifests only. */
const bases: readonly PackTexts[] = [
  plainPack(),
  plainPack({
    'pack.json': jsonOf({
      charts: ['charts/web-1.0.0.tgz', 'charts/db-2.0.0.tgz'],
      kubeManifests: ['manifests/tools.yaml', 'manifests/raw.yaml'],
      annotations: { source: 'community' },
      constraints: {
        dependencies: [{ packName: 'kubernetes', layer: 'k8s', minVersion: '1.29', maxVersion: '', type: 'required' }],
        resources: [{ type: 'cpu', minLimit: 2000, components: [{ scheduleType: 'master' }] }],
      },
    }),
    'values.yaml': rich,
    'presets.yaml': presets,
    'schema.yaml': schema,
    'charts/db-2.0.0.tgz': chartOf('db', '2.0.0'),
    'manifests/tools.yaml': '{{ if .Values.open }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: tools}\n{{ end }}\n',
  }),
  plainPack({ 'values.yaml': valuesText.replace('  web:\n    replicas', '  replicas') }),
  {
    'pack.json': jsonOf({ charts: [], kubeManifests: ['manifests/a.yaml'] }),
    'values.yaml': 'manifests:\n  a: {x: 1}\n',
    'manifests/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Values.x }}"}\n',
    'charts/old/Chart.yaml': 'name: old\nversion: 1.0.0\n',
  },
];

const odd =
  '\u0000|\uFEFF|\u202e|\u2028|💥|é|\uf812|\ud800|{{|}}|{{ .spectro.var.x }}|${|:|: |- |# |&a |*a |<<: *a|!!set |? |[|{|"|\'||>|\t|\r\n|---\n|../|/etc/passwd|__proto__|constructor|toString|%s|$[]|,|=|.'.split(
    /(?<!\|)\|/,
  );
const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
const whole = [
  '',
  '\n',
  'null',
  '[]',
  '{}',
  '""',
  '1',
  '- a',
  bomb,
  '['.repeat(3_000),
  '{a: '.repeat(2_000),
  '- '.repeat(2_000),
  '9'.repeat(10_000),
  '1e999',
  `a: ${'x'.repeat(100_000)}`,
  'a: 1\n...\nb: 2',
  '%YAML 1.2\n---\na: 1',
  'charts: &c\n  web: *c',
  '? {a: 1}\n: 2',
  'a: !!binary x',
  'pack: {<<: {namespace: x}}',
];
const values: readonly (() => unknown)[] = [
  () => null,
  () => '',
  () => [],
  () => ({}),
  () => -0,
  () => 1e308,
  () => 2 ** 60,
  () => Number.NaN,
  () => true,
  () => 'x'.repeat(5_000),
  () => '{{ .Values.x }}',
  () => '{{ .spectro.var.x }}',
  () => JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": 1}}') as unknown,
  () => Array.from({ length: 200 }, (_, index) => index),
  () => JSON.parse(`${'['.repeat(150)}${']'.repeat(150)}`) as unknown,
  () => ['charts/web-1.0.0.tgz', '../x.tgz', '', null, 7],
  () => '2020-01-01',
  () => '💥\u202e',
];

const mutateBytes = (numbers: Numbers, data: Uint8Array): Uint8Array => {
  const bytes = [...data];
  const at = numbers.below(bytes.length + 1);
  const count = 1 + numbers.below(8);
  switch (numbers.below(5)) {
    case 0:
      bytes.splice(at, count);
      break;
    case 1:
      bytes.splice(at, 0, ...Array.from({ length: count }, () => numbers.below(256)));
      break;
    case 2:
      bytes.splice(at);
      break;
    case 3:
      bytes.splice(at, 0, ...bytes.slice(numbers.below(bytes.length + 1)).slice(0, 200));
      break;
    default:
      for (let index = 0; index < count; index += 1) bytes[numbers.below(bytes.length)] = numbers.below(256);
  }
  return Uint8Array.from(bytes);
};

const mutateLines = (numbers: Numbers, text: string): string => {
  const lines = text.split('\n');
  const at = numbers.below(lines.length);
  const line = lines[at] ?? '';
  const column = numbers.below(line.length + 1);
  switch (numbers.below(6)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.splice(at, 0, line);
      break;
    case 2:
      lines[at] = `${' '.repeat(numbers.below(6))}${line}`;
      break;
    case 3:
      lines[at] = line.trimStart();
      break;
    default:
      lines[at] = `${line.slice(0, column)}${numbers.pick(odd)}${line.slice(column + numbers.below(3))}`;
  }
  return lines.join('\n');
};

/** Changes one thing somewhere in the tree. */
const mutateTree = (numbers: Numbers, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || numbers.below(5) === 0) return numbers.pick(values)();
  if (Array.isArray(value)) {
    const list = [...(value as unknown[])];
    const at = numbers.below(list.length + 1);
    if (numbers.below(3) === 0) list.splice(at, 1);
    else list[at] = mutateTree(numbers, list[at]);
    return list;
  }
  const entries = Object.entries(value);
  const at = numbers.below(entries.length + 1);
  const [key, inner] = entries[at] ?? [numbers.pick(odd), numbers.pick(values)()];
  const kind = numbers.below(4);
  if (kind === 0) entries.splice(at, 1);
  else entries[at] = [kind === 1 ? numbers.pick(odd) : key, kind === 1 ? inner : mutateTree(numbers, inner)];
  return Object.fromEntries(entries);
};

const mutateStructure = (numbers: Numbers, name: string, text: string): string => {
  try {
    const tree = mutateTree(numbers, parse(text, { logLevel: 'silent' }));
    return name.endsWith('.json') ? (JSON.stringify(tree) ?? 'null') : stringify(tree);
  } catch {
    return mutateLines(numbers, text);
  }
};

const mutateFiles = (numbers: Numbers, texts: PackTexts): PackTexts => {
  const names = Object.keys(texts);
  const [one, other] = [numbers.pick(names), numbers.pick(names)];
  const copy = { ...texts };
  switch (numbers.below(4)) {
    case 0:
      delete copy[one];
      break;
    case 1:
      copy[one] = texts[other] ?? '';
      break;
    case 2:
      copy[`${one.split('/').slice(0, -1).join('/')}/${numbers.pick(odd)}`.replace(/^\//, '')] = texts[one] ?? '';
      break;
    default:
      copy[one.toUpperCase()] = texts[one] ?? '';
      delete copy[one];
  }
  return copy;
};

export const mutantOf = (seed: number): PackTexts => {
  const numbers = numbersFrom(seed);
  let texts = numbers.pick(bases);
  for (let round = 1 + numbers.below(3); round > 0; round -= 1) {
    const names = Object.keys(texts);
    if (names.length === 0) break;
    const name = numbers.pick(names);
    const data = texts[name] ?? '';
    const isText = typeof data === 'string';
    const kind = numbers.below(10);
    if (kind === 0) texts = mutateFiles(numbers, texts);
    else if (!isText || kind < 3)
      texts = { ...texts, [name]: isText ? Buffer.from(mutateBytes(numbers, Buffer.from(data))).toString('utf8') : mutateBytes(numbers, data) };
    else if (kind === 3) texts = { ...texts, [name]: numbers.pick(whole) };
    else if (kind < 7) texts = { ...texts, [name]: mutateLines(numbers, data) };
    else texts = { ...texts, [name]: mutateStructure(numbers, name, data) };
  }
  return texts;
};
