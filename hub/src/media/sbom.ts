import type { Bundle } from '@groundplane/protocol/bundle';
import { digestOf } from '@groundplane/protocol/digest';
import { parseReference } from '../registry/oci-reference.ts';

/** An image with the layers whose objects name it. */
export interface UsedImage {
  reference: string;
  layers: string[];
}

/** Images of a bundle, each once, by name. For layers that do not list theirs (of earlier bundles) `images` maps each object's digest to what it names. */
export const imagesOfBundle = (bundle: Pick<Bundle, 'layers'>, images: ReadonlyMap<string, readonly string[]>): UsedImage[] => {
  const used = new Map<string, Set<string>>();
  for (const layer of bundle.layers)
    for (const reference of [
      ...(layer.images ?? [...layer.objects, ...layer.hooks].flatMap((item) => images.get(item.digest) ?? [])),
      ...(layer.oci ?? []).map((item) => item.ref),
    ])
      used.set(reference, (used.get(reference) ?? new Set()).add(layer.name));
  return [...used].map(([reference, layers]) => ({ reference, layers: [...layers].toSorted() })).toSorted((a, b) => (a.reference < b.reference ? -1 : 1));
};

interface Component {
  type: 'application' | 'container' | 'data';
  'bom-ref': string;
  name: string;
  version?: string;
  purl?: string;
  hashes?: { alg: 'SHA-256'; content: string }[];
  properties?: { name: string; value: string }[];
}

/** Percent-encoding of package URLs (purl specification): like that of URLs, with `:` left alone. */
const purlText = (text: string): string => encodeURIComponent(text).replaceAll('%3A', ':');

/** `pkg:oci/nginx@sha256:…?repository_url=…&tag=…`; the version of an OCI purl is a digest, so it is left out where only a tag is known. */
export const imagePurl = (text: string): string | undefined => {
  const parsed = parseReference(text);
  if (!parsed.ok) return undefined;
  const { registry, repository, tag, digest } = parsed.value;
  const name = repository.split('/').at(-1) ?? repository;
  const query = [
    `repository_url=${purlText(`${registry}/${repository}`)}`,
    ...(tag === undefined && digest !== undefined ? [] : [`tag=${purlText(tag ?? 'latest')}`]),
  ].join('&');
  return `pkg:oci/${purlText(name)}${digest === undefined ? '' : `@${purlText(digest)}`}?${query}`;
};

const sha256 = (digest: string): { alg: 'SHA-256'; content: string }[] => [{ alg: 'SHA-256', content: digest.replace(/^sha256:/, '') }];

const imageComponent = ({ reference, layers }: UsedImage): Component => {
  const parsed = parseReference(reference);
  const purl = imagePurl(reference);
  const digest = parsed.ok ? parsed.value.digest : undefined;
  return {
    type: 'container',
    'bom-ref': `image:${reference}`,
    name: parsed.ok ? `${parsed.value.registry}/${parsed.value.repository}` : reference,
    ...(parsed.ok ? { version: parsed.value.digest ?? parsed.value.tag ?? 'latest' } : {}),
    ...(purl === undefined ? {} : { purl }),
    ...(digest === undefined ? {} : { hashes: sha256(digest) }),
    properties: layers.map((layer) => ({ name: 'groundplane:layer', value: layer })),
  };
};

const sourceTypes: Record<string, string> = { helm: 'helm', pack: 'generic', zarf: 'generic', manifest: 'generic', os: 'generic', kubernetes: 'generic' };

/**
 * The bill of materials of a bundle as CycloneDX 1.6: layers, the chart or pack of each, and the images that their objects name. Pure and free of time: equal
 * bundles give equal bytes, and the serial number comes from the bundle's digest.
 */
export const bundleSbom = (subject: { name: string; version: string }, bundle: Bundle, images: readonly UsedImage[]) => {
  const digest = digestOf(bundle);
  const hex = digest.slice('sha256:'.length);
  // RFC 9562 version 8: a UUID of one's own making, here from the digest.
  const serial = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  const layers: Component[] = bundle.layers.map((layer) => ({
    type: 'application',
    'bom-ref': `layer:${layer.name}`,
    name: layer.pack.name,
    version: layer.pack.version,
    purl: `pkg:${sourceTypes[layer.pack.source] ?? 'generic'}/${purlText(layer.pack.name)}@${purlText(layer.pack.version)}`,
    hashes: sha256(layer.pack.digest),
    properties: [
      { name: 'groundplane:layer', value: layer.name },
      { name: 'groundplane:kind', value: layer.kind },
      { name: 'groundplane:source', value: layer.pack.source },
      { name: 'groundplane:profile', value: `${layer.profile.name}@${layer.profile.version}` },
    ],
  }));
  const refOf = (layer: string): string => `layer:${layer}`;
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX' as const,
    specVersion: '1.6' as const,
    serialNumber: `urn:uuid:${serial}`,
    version: 1,
    metadata: {
      component: { type: 'platform', 'bom-ref': 'bundle', name: subject.name, version: subject.version, hashes: sha256(digest) },
      tools: { components: [{ type: 'application', name: 'groundplane', version: bundle.engine }] },
    },
    components: [...layers, ...images.map(imageComponent)],
    dependencies: [
      { ref: 'bundle', dependsOn: layers.map((layer) => layer['bom-ref']) },
      ...bundle.layers.map((layer) => ({
        ref: refOf(layer.name),
        dependsOn: images.filter((image) => image.layers.includes(layer.name)).map((image) => `image:${image.reference}`),
      })),
    ],
  };
};
