import type { AgentArch } from '../agent-package.ts';
import type { BundleLayer, BundleOs } from '../bundle.ts';
import type { Digest } from '../digest.ts';
import { fail, type Failure } from '../failure.ts';
import type { HostFacts } from './facts.ts';
import type { Step } from './steps.ts';

/** What a host of this architecture gets of each extension. One that has no image for it is left out here and told by `missingExtension`. */
export const wantedExtensions = (os: BundleOs, architecture: AgentArch | undefined): { name: string; digest: Digest }[] =>
  (os.extensions ?? []).flatMap(({ name, images }) => {
    const image = images.find((item) => item.architecture === undefined || item.architecture === architecture);
    return image === undefined ? [] : [{ name, digest: image.digest }];
  });

/** Extensions that are not in place, in one step: links first, then one refresh of /usr. */
export const planExtensions = (facts: HostFacts, layer: BundleLayer): Step[] => {
  const wanted = layer.os === undefined ? [] : wantedExtensions(layer.os, facts.architecture);
  const wrong = wanted.filter(({ name, digest }) => {
    const seen = facts.os.extensions?.get(name);
    const isOwned = facts.ownedOs.some((item) => item.layer === layer.name && item.kind === 'extension' && item.key === name);
    return !isOwned || seen === undefined || seen === 'absent' || seen.linked !== digest || seen.merged !== digest;
  });
  return wrong.length === 0 ? [] : [{ step: 'setExtensions', layer: layer.name, extensions: wrong }];
};

/** An extension that has no image for this host's architecture. */
export const missingExtension = (facts: HostFacts, layer: BundleLayer): Failure | undefined => {
  const { architecture } = facts;
  if (layer.os === undefined || architecture === undefined) return undefined;
  const names = new Set(wantedExtensions(layer.os, architecture).map((item) => item.name));
  const missing = (layer.os.extensions ?? []).find((item) => !names.has(item.name));
  if (missing === undefined) return undefined;
  return fail('fatal', 'extension-architecture', `layer ${layer.name}`, `the system extension ${missing.name} has no image for ${architecture}`).failure;
};
