import { createHash, sign, type KeyObject } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { packTar, packTgz } from '@groundplane/hub/archive/write';
import { stringify } from 'yaml';

/** Builds Zarf packages as `zarf package create` does, and broken ones. */
export const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');

export type Files = Record<string, string | Uint8Array>;
const bytesOf = (data: string | Uint8Array): Buffer => Buffer.from(data as Uint8Array);
const tarOf = (files: Files): Buffer => packTar(Object.entries(files).map(([name, data]) => ({ name, data: bytesOf(data) })));
export const zstd = (files: Files): Buffer => zstdCompressSync(tarOf(files));

/** A chart as `helm package` makes it. */
export const chart = (name: string, version: string, files: Files): Buffer =>
  packTgz([
    { name: `${name}/Chart.yaml`, data: Buffer.from(`apiVersion: v2\nname: ${name}\nversion: ${version}\n`) },
    ...Object.entries(files).map(([file, data]) => ({ name: `${name}/${file}`, data: bytesOf(data) })),
  ]);

/** An OCI layout with one-layer images. */
export const ociImages = (references: readonly string[]): Files => {
  const files: Files = { 'images/oci-layout': '{"imageLayoutVersion":"1.0.0"}' };
  const blob = (data: string): { digest: string; size: number } => {
    files[`images/blobs/sha256/${sha256(data)}`] = data;
    return { digest: `sha256:${sha256(data)}`, size: data.length };
  };
  const manifests = references.map((reference) => {
    const manifest = blob(
      JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...blob(`{"of":"${reference}"}`) },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...blob(`layer of ${reference}`) }],
      }),
    );
    return { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest, annotations: { 'org.opencontainers.image.base.name': reference } };
  });
  files['images/index.json'] = JSON.stringify({ schemaVersion: 2, manifests });
  return files;
};

export interface Draft {
  definition: Record<string, unknown>;
  /** Files of each component, below its folder. */
  components: Record<string, Files>;
  /** Other files of the package, listed in checksums.txt. */
  files?: Files;
  key?: KeyObject;
  /** `bundle` writes zarf.bundle.sig, `legacy` zarf.yaml.sig. */
  signature?: 'bundle' | 'legacy' | 'both';
}

/** All files of a built package; change them before `zstd` to break one. */
export const build = (draft: Draft): Files => {
  const files: Files = { ...draft.files };
  for (const [name, own] of Object.entries(draft.components))
    if (Object.keys(own).length > 0)
      files[`components/${name}.tar`] = tarOf(Object.fromEntries(Object.entries(own).map(([file, data]) => [`${name}/${file}`, data])));
  const lines = Object.entries(files).map(([name, data]) => `${sha256(data)} ${name}`);
  const checksums = `${lines.toSorted().join('\n')}\n`;
  const isBeta = draft.definition['apiVersion'] === 'zarf.dev/v1beta1';
  const holder = isBeta ? 'build' : 'metadata';
  const definition = stringify({
    ...draft.definition,
    [holder]: { ...(draft.definition[holder] as object | undefined), aggregateChecksum: sha256(checksums) },
  });
  const all: Files = { 'zarf.yaml': definition, 'checksums.txt': checksums, ...files };
  if (draft.key !== undefined) {
    const signature = sign(draft.key.asymmetricKeyType === 'ed25519' ? null : 'sha256', Buffer.from(definition), draft.key).toString('base64');
    if (draft.signature !== 'bundle') all['zarf.yaml.sig'] = signature;
    if (draft.signature === 'bundle' || draft.signature === 'both')
      all['zarf.bundle.sig'] = JSON.stringify({
        mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
        verificationMaterial: { publicKey: { hint: 'x' }, tlogEntries: [] },
        messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: Buffer.from(sha256(definition), 'hex').toString('base64') }, signature },
      });
  }
  return all;
};

const configMap = (name: string, data: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata:\n${data}`;

/** A package with everything that is supported, in v1alpha1. */
export const alphaDraft = (): Draft => ({
  definition: {
    kind: 'ZarfPackageConfig',
    metadata: { name: 'demo', version: '1.2.3', architecture: 'amd64', description: 'a demo' },
    build: { terminal: 'vm', user: '', architecture: 'amd64', timestamp: 'now', version: 'v0.60.0', registryOverrides: {} },
    variables: [
      { name: 'DOMAIN', default: 'example.com', pattern: '^[a-z.]+$' },
      { name: 'CERT', autoIndent: true, sensitive: true, default: 'one\ntwo' },
    ],
    constants: [{ name: 'COLOUR', value: 'blue' }],
    components: [
      {
        name: 'base',
        required: true,
        only: {},
        charts: [
          {
            name: 'web',
            version: '0.1.0',
            namespace: 'demo',
            localPath: 'chart',
            valuesFiles: ['values.yaml'],
            variables: [{ name: 'DOMAIN', description: 'host', path: 'ingress.host' }],
          },
        ],
        manifests: [{ name: 'plain', namespace: 'demo', files: ['cm.yaml'], kustomizations: ['kust'], noWait: true }],
        files: [{ source: 'motd', target: '/etc/motd', executable: true, symlinks: ['/etc/motd2'], shasum: sha256('hello\n') }],
        images: ['nginx:1.27', 'ghcr.io/a/b:2'],
        actions: {
          onCreate: { before: [{ cmd: 'true' }] },
          onDeploy: {
            defaults: { maxRetries: 2, env: ['A=1'] },
            before: [{ cmd: 'echo hi', setVariables: [{ name: 'OUT' }] }],
            after: [{ wait: { cluster: { kind: 'Deployment', name: 'web' } } }],
          },
          onRemove: { before: [{ cmd: 'echo bye' }] },
        },
        healthChecks: [{ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'demo', name: 'web' }],
      },
      { name: 'extra', manifests: [{ name: 'more', namespace: 'other', files: ['cm2.yaml'] }] },
    ],
  },
  components: {
    base: {
      'charts/web-0.1.0.tgz': chart('web', '0.1.0', {
        'values.yaml': 'ingress: {host: none}\n',
        'templates/d.yaml': configMap('web', '  host: {{ .Values.ingress.host }}\n  colour: "###ZARF_CONST_COLOUR###"\n  more: {{ .Values.more | quote }}\n'),
      }),
      'values/web-0.1.0-0': 'more: "###ZARF_VAR_DOMAIN###"\n',
      'manifests/plain-0.yaml': configMap('plain', '  cert: |\n    ###ZARF_VAR_CERT###\n  keep: "{{ .Values.x }}"\n'),
      'manifests/kustomization-plain-0.yaml': configMap('k-a', '  a: b\n'),
      'files/0/motd': 'hello\n',
    },
    extra: { 'manifests/more-0.yaml': configMap('more', '  a: b\n') },
  },
  files: { ...ociImages(['docker.io/library/nginx:1.27', 'ghcr.io/a/b:2']), 'sboms.tar': 'sbom' },
});

/** The same kind of package in v1beta1: values instead of variables. */
export const betaDraft = (): Draft => ({
  definition: {
    apiVersion: 'zarf.dev/v1beta1',
    kind: 'ZarfPackageConfig',
    metadata: { name: 'beta', version: '2.0.0', architecture: 'amd64', annotations: { team: 'x' } },
    build: {
      architecture: 'amd64',
      timestamp: 'now',
      version: 'v0.90.0',
      provenanceFiles: ['checksums.txt'],
      versionRequirements: [{ version: 'v0.80.0', reason: 'r' }],
    },
    values: { files: ['values.yaml'] },
    components: [
      {
        name: 'core',
        charts: [
          {
            name: 'web',
            oci: { url: 'oci://ghcr.io/charts/web', version: '0.2.0' },
            namespace: 'shop',
            values: [
              { sourcePath: '.site.host', targetPath: '.ingress.host' },
              { sourcePath: '.site.absent', targetPath: '.absent' },
            ],
            skipSchemaValidation: true,
          },
          { name: 'own', local: { path: 'own' }, namespace: 'shop', skipWait: true },
        ],
        manifests: [{ name: 'tpl', namespace: 'shop', files: ['t.yaml'], enableValues: true }],
        images: [{ name: 'ghcr.io/a/b:2' }],
        actions: { onDeploy: { onSuccess: [{ cmd: 'echo {{ .Values.site.host }}', enableValues: true }] } },
      },
      { name: 'debug', optional: true, manifests: [{ name: 'd', namespace: 'shop', files: ['d.yaml'] }] },
    ],
  },
  components: {
    core: {
      'charts/web-0.2.0.tgz': chart('web', '0.2.0', {
        'values.yaml': 'ingress: {host: none}\n',
        'values.schema.json': '{"$ref": "https://example.com/schema.json"}',
        'templates/d.yaml': configMap('web', '  host: {{ .Values.ingress.host }}\n'),
      }),
      'charts/own.tgz': chart('own', '9.9.9', { 'templates/a.yaml': configMap('own', '  a: b\n') }),
      'manifests/tpl-0.yaml': configMap('tpl', '  host: {{ .Values.site.host }}\n'),
    },
    debug: { 'manifests/d-0.yaml': configMap('d', '  a: b\n') },
  },
  files: { ...ociImages(['ghcr.io/a/b:2']), 'values.yaml': 'site: {host: shop.example, port: 80}\n' },
});

/** Changes a copy of the definition in place. */
export const changed = (draft: Draft, change: (definition: Plain) => void): Draft => {
  const definition = structuredClone(draft.definition) as Plain;
  change(definition);
  return { ...draft, definition };
};
export interface Plain {
  metadata: Record<string, unknown>;
  build: Record<string, unknown>;
  components: Record<string, unknown>[];
  [field: string]: unknown;
}
