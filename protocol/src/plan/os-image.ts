import type { AgentArch } from '../agent-package.ts';
import type { BundleLayer } from '../bundle.ts';
import { fail, type Failure } from '../failure.ts';
import { osImageDigest, osImageFor, type OsImageManifest } from '../os-image.ts';
import type { HostFacts } from './facts.ts';
import { rebootRefusal, wasTried, type LayerWork, type RebootCause } from './reboot.ts';
import type { Step } from './steps.ts';

/**
 * - `staged`: whole in its slot, and no boot would take it.
 * - `next`: the next boot takes it, on trial.
 * - `failed`: it was started as often as allowed and never became healthy.
 * - `kept`: bootable, but another one comes first.
 */
export type ImageSlotState = 'staged' | 'next' | 'failed' | 'kept';

/** The images of a host, as its boot loader and its partitions tell. */
export interface ObservedImage {
  architecture: AgentArch;
  name: string;
  driver: OsImageManifest['content']['driver'];
  /** Version of the running one. */
  running: string;
  /** Of the running one. `trial`: the health check is not over. `bad`: it failed, and nothing else could be booted. */
  health: 'good' | 'trial' | 'bad';
  /** The other ones. */
  slots: readonly { version: string; state: ImageSlotState }[];
  /** What the health check last said about a version, if it said anything. */
  words?: { version: string; text: string } | undefined;
}

const done: LayerWork = { steps: [], wait: undefined };
const stop = (kind: Failure['kind'], code: string, layer: BundleLayer, message: string): LayerWork => ({
  steps: [],
  wait: fail(kind, code, `layer ${layer.name}`, message).failure,
});

/** The manifest for this host, or why there is none. */
const findImage = (image: ObservedImage | undefined, layer: BundleLayer): { manifest: OsImageManifest } | { work: LayerWork } => {
  if (image === undefined)
    return {
      work: stop(
        'blocked',
        'image-unsupported',
        layer,
        'this host does not run from an image of ours, so its system cannot be replaced as a whole. Flash it, or use mode "package"',
      ),
    };
  const manifest = osImageFor(layer.os?.image ?? [], image.architecture)?.signed;
  if (manifest === undefined)
    return {
      work: stop(
        'fatal',
        'image-architecture',
        layer,
        `the profile has no image for ${image.architecture}. Build one: npm run installer -- build --arch ${image.architecture}`,
      ),
    };
  if (manifest.name !== image.name)
    return {
      work: stop(
        'fatal',
        'image-foreign',
        layer,
        `this host runs the image "${image.name}", and the profile has "${manifest.name}"; images of another name are installed by flashing`,
      ),
    };
  if (manifest.content.driver !== image.driver)
    return { work: stop('fatal', 'image-driver', layer, `this host is updated by ${image.driver}, and the image is one for ${manifest.content.driver}`) };
  return { manifest };
};

const lastWords = (image: ObservedImage, version: string): string => (image.words?.version === version ? `: ${image.words.text}` : '');

/** After a reboot for this image, the host runs another one. */
const returned = (image: ObservedImage, manifest: OsImageManifest, layer: BundleLayer): LayerWork => {
  const { version } = manifest;
  const slot = image.slots.find((item) => item.version === version);
  return slot?.state === 'failed'
    ? stop(
        'fatal',
        'image-returned',
        layer,
        `image ${version} was started and did not become healthy${lastWords(image, version)}. The host returned to image ${image.running} by itself`,
      )
    : stop(
        'fatal',
        'image-not-started',
        layer,
        `the host was rebooted for image ${version} and came up with image ${image.running}${lastWords(image, version)}. It is not tried again by itself`,
      );
};

/**
 * Stage now, apply when a reboot may be: write the image to the slot that is free, tell the boot loader to try it, reboot, wait for the health check. The slot
 * that runs and the data are never touched. Until `activateImage` no boot takes the new image, also not one after a power cut.
 */
export const planImage = (facts: HostFacts, layer: BundleLayer): LayerWork => {
  // A preview knows nothing of boots and slots.
  if (facts.machine === undefined) return done;
  const found = findImage(facts.image, layer);
  if ('work' in found) return found.work;
  const { image, machine } = facts;
  if (image === undefined) return done;
  const { manifest } = found;
  const { version } = manifest;
  if (image.running === version) {
    switch (image.health) {
      case 'good':
        return done;
      case 'trial':
        return stop('retry', 'image-trial', layer, `image ${version} runs on trial; its health check is not over`);
      case 'bad':
        return stop(
          'fatal',
          'image-unhealthy',
          layer,
          `image ${version} did not become healthy, and there is no other one to return to${lastWords(image, version)}`,
        );
      default:
        return image.health satisfies never;
    }
  }
  const digest = osImageDigest(manifest);
  const cause: RebootCause = { kind: 'image', version, digest };
  if (wasTried(machine, cause)) return returned(image, manifest, layer);
  const slot = image.slots.find((item) => item.version === version);
  const steps: Step[] = slot === undefined || slot.state === 'failed' ? [{ step: 'stageImage', layer: layer.name, version, digest }] : [];
  const refusal = rebootRefusal(machine, layer.os?.reboot, `layer ${layer.name}`, `image ${version} is in its slot`);
  if (refusal !== undefined) return { steps, wait: refusal };
  if (slot?.state !== 'next') steps.push({ step: 'activateImage', layer: layer.name, version });
  return { steps: [...steps, { step: 'rebootHost', layer: layer.name, cause }], wait: undefined };
};
