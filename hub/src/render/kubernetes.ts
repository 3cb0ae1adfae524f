import type { BundleLayer } from '@groundplane/protocol/bundle';
import { contentBytesMax, parseKubernetesContent, type KubernetesContent } from '@groundplane/protocol/distribution/content';
import { machineNeeds } from '@groundplane/protocol/distribution/machine';
import { architectures, minorOf, versionTag, type ManagedKubernetes } from '@groundplane/protocol/distribution/spec';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { managedPart, type Layer } from '@groundplane/protocol/layer';
import { osSpecSchema } from '@groundplane/protocol/os-spec';
import type { ContentStore } from '../port/content.ts';
import { renderOs } from './os.ts';

type KubernetesPart = Pick<BundleLayer, 'kubernetes' | 'os' | 'programs' | 'blobs' | 'oci'>;

/** The lists of what a Kubernetes version is made of, one for each architecture that the layer names. */
const contentsOf = async (content: ContentStore, layer: string, spec: ManagedKubernetes): Promise<Result<KubernetesContent[]>> => {
  const lists: KubernetesContent[] = [];
  for (const architecture of architectures) {
    const digest = spec.content?.[architecture];
    if (digest === undefined) continue;
    const element = `layer ${layer}, kubernetes.content.${architecture}`;
    const bytes = await content.read(digest);
    if (bytes === undefined)
      return fail('blocked', 'content-missing', element, `${digest} is not in the content store. Upload it: gp kubernetes upload FOLDER`);
    if (bytes.length > contentBytesMax) return fail('fatal', 'kubernetes-content-invalid', element, 'is no list of Kubernetes content; it is too large');
    const parsed = parseKubernetesContent(bytes.toString('utf8'), element);
    if (!parsed.ok) return parsed;
    if (
      parsed.value.distribution !== spec.distribution ||
      parsed.value.architecture !== architecture ||
      versionTag(parsed.value.version) !== versionTag(spec.version)
    )
      return fail(
        'fatal',
        'kubernetes-content-wrong',
        element,
        `is ${parsed.value.distribution} ${parsed.value.version} for ${parsed.value.architecture}, and the layer says ${spec.distribution} ${spec.version}`,
      );
    lists.push(parsed.value);
  }
  return ok(lists);
};

/** A name that stays the same over versions, so that the old one can serve as base of the new one. */
const blobName = (path: string): string => path.replace(/^\//, '');

const largeOf = (lists: readonly KubernetesContent[]): Pick<BundleLayer, 'programs' | 'blobs' | 'oci'> =>
  lists.length === 0
    ? {}
    : {
        programs: lists.flatMap(({ files, architecture }) =>
          files.map(({ path, digest, size, mode }) => ({ path, digest, size, mode: mode.padStart(4, '0'), architecture })),
        ),
        blobs: lists.flatMap(({ files, blobs, architecture }) => {
          const named = new Map(files.map((file) => [file.digest, { digest: file.digest, size: file.size, name: blobName(file.path), architecture }]));
          for (const [index, item] of blobs.entries()) if (!named.has(item.digest)) named.set(item.digest, { ...item, name: `image-${index}`, architecture });
          return [...named.values()];
        }),
        oci: lists.flatMap(({ images, architecture }) => images.map((image) => ({ ...image, architecture }))),
      };

/** A Kubernetes layer in its bundle form: with what a distribution needs on each machine, where the agent brings it up. */
export const renderKubernetes = async (content: ContentStore, layer: Layer, secret: boolean): Promise<Result<KubernetesPart>> => {
  const spec = layer.kubernetes;
  if (spec === undefined) return ok({});
  if (spec.distribution === 'existing') {
    const { distribution, version, kubeconfigPath } = spec;
    return ok({ kubernetes: { distribution, ...(version === undefined ? {} : { version }), ...(kubeconfigPath === undefined ? {} : { kubeconfigPath }) } });
  }
  // The cloud brings it to its version; whoever applies the other layers finds it there.
  if (!('cni' in spec)) return ok({ kubernetes: { distribution: 'existing' } });
  if (minorOf(spec.version) === undefined) return fail('fatal', 'version-invalid', `layer ${layer.name}`, `${spec.version} is no version of Kubernetes`);
  const lists = await contentsOf(content, layer.name, spec);
  if (!lists.ok) return lists;
  const needs = machineNeeds(spec, lists.value);
  const os = await renderOs(content, { ...layer, os: osSpecSchema.parse(needs) }, secret);
  return ok({ kubernetes: { distribution: spec.distribution, version: spec.version, managed: spec }, ...os, ...largeOf(lists.value) });
};

/** Bringing a cluster up, or moving it, takes minutes: less patience than this would call every slow machine a failure. */
const managedTimeoutSeconds = 1_800;

/** Patience of a layer, seconds; `given` is what the profile says, with the default where it says nothing. */
export const kubernetesTimeoutSeconds = (layer: Layer, given: number, unsaid: number): number =>
  managedPart(layer.kubernetes) !== undefined && given === unsaid ? managedTimeoutSeconds : given;
