import type { PackFiles } from '@groundplane/hub/pack/read';
import { packTgz } from '../../hub/src/archive/write.ts';

/** Packs written for these tests; each shows a shape that public ones have. */
export type PackTexts = Record<string, string | Uint8Array>;

/** A chart with values that say what came in, as an archive. */
export const chartOf = (name: string, version = '1.0.0', values = 'replicas: 1\nimage: {tag: ""}\n'): Uint8Array =>
  packTgz([
    { name: `${name}/Chart.yaml`, data: Buffer.from(`apiVersion: v2\nname: ${name}\nversion: ${version}\n`) },
    {
      name: `${name}/templates/all.yaml`,
      data: Buffer.from('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {all: {{ .Values | toJson | quote }}}\n'),
    },
    { name: `${name}/values.yaml`, data: Buffer.from(values) },
  ]);

export const packOf = (texts: PackTexts): PackFiles => ({
  from: 'test',
  files: Object.entries(texts)
    .map(([name, data]) => ({ name, data: Buffer.from(data as string) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
});

export const jsonOf = (more: object = {}): string =>
  JSON.stringify(
    { name: 'shop', displayName: 'Shop', version: '1.2.3', layer: 'addon', cloudTypes: ['all'], charts: ['charts/web-1.0.0.tgz'], ...more },
    undefined,
    2,
  );

export const valuesText = `pack:
  namespace: shop
  content:
    images:
      - image: registry.example/web:1.0.0
charts:
  web:
    replicas: 2 # two
`;

/** Nothing about it is odd. */
export const plainPack = (more: PackTexts = {}): PackTexts => ({
  'pack.json': jsonOf(),
  'values.yaml': valuesText,
  'README.md': '# Shop\n',
  'logo.png': new Uint8Array([1]),
  'charts/web-1.0.0.tgz': chartOf('web'),
  ...more,
});
