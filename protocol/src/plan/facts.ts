import type { AgentArch, RunningAgent } from '../agent-package.ts';
import { layerDigest, type Bundle, type BundleLayer, type Version } from '../bundle.ts';
import type { Digest } from '../digest.ts';
import type { Failure } from '../failure.ts';
import type { ObjectRef } from '../kubernetes.ts';
import type { Readiness } from '../readiness.ts';
import type { DistributionFacts } from './distribution.ts';
import type { Duty } from './duty.ts';
import type { ObservedImage } from './os-image.ts';
import type { RebootIntent } from './reboot.ts';
import type { LayerEvent, Step } from './steps.ts';

/** A bundle's layer with its own digest, computed once when the bundle is loaded. */
export interface TargetLayer {
  layer: BundleLayer;
  digest: Digest;
}

export const targetLayers = (bundle: Bundle): TargetLayer[] => bundle.layers.map((layer) => ({ layer, digest: layerDigest(layer) }));

/** Whether a layer is this host's to look after: the machine's own always, Kubernetes objects only on the host that applies them. */
export const isForHost = (layer: Pick<BundleLayer, 'kind'>, applier: boolean): boolean => applier || layer.kind === 'os' || layer.kind === 'kubernetes';

/** What should be: the desired state under consideration. No layers: everything we own is torn down. */
export interface Target {
  version: Version;
  parent: Digest | undefined;
  layers: readonly TargetLayer[];
  /** Whether this host is the one of its cluster that applies Kubernetes objects. */
  applier: boolean;
  /** The target is the last known good state, taken up again after a failure. */
  rollback: boolean;
}

/** What the journal says about a layer that we began to install at some time. */
export interface LayerRecord {
  name: string;
  digest: Digest;
  layer: BundleLayer;
  state: 'installing' | 'installed';
  event: LayerEvent;
  /** Counts installs and upgrades; hooks run once per revision and event. */
  revision: number;
}

export interface OwnedObject {
  ref: ObjectRef;
  layer: string;
  /** Digest of what we applied last. */
  digest: Digest;
  /** It was there before us: never deleted by us. */
  adopted: boolean;
  keep: boolean;
  /** Left over from a hook: not kept in shape, and deleted with its layer. */
  hook?: boolean;
}

export type OwnedOsKind = 'file' | 'sysctl' | 'unit' | 'package' | 'module' | 'user' | 'extension';
export interface OwnedOs {
  layer: string;
  kind: OwnedOsKind;
  key: string;
}

export interface ObservedObject {
  /** `same`: as we left it. `drifted`: somebody else changed fields that we own. `missing`: gone. `foreign`: there, but never ours. */
  state: 'same' | 'drifted' | 'missing' | 'foreign';
  ready: Readiness;
}

export interface ObservedOs {
  files: ReadonlyMap<string, { digest: Digest; mode: string; owner: string; group: string } | 'absent'>;
  sysctls: ReadonlyMap<string, string | 'absent'>;
  units: ReadonlyMap<string, { enabled: boolean; active: boolean } | 'absent'>;
  packages: ReadonlyMap<string, { version: string; held: boolean } | 'absent'>;
  /** `builtin`: part of the kernel, nothing to load. `absent`: not loaded. */
  modules: ReadonlyMap<string, 'loaded' | 'builtin' | 'absent'>;
  users: ReadonlyMap<string, { groups: readonly string[]; shell: string } | 'absent'>;
  /** `linked`: what stands in the folder of extensions. `merged`: what the last refresh of this boot has laid over /usr. */
  extensions?: ReadonlyMap<string, { linked: Digest | 'other'; merged: Digest | undefined } | 'absent'>;
  /** Undefined: it was not started from a slot and cannot update itself. */
  agent?: RunningAgent | undefined;
}

/** The machine between two boots. */
export interface MachineFacts {
  bootId: string;
  /** The reboot that was asked for last and has not come true yet. */
  intent: RebootIntent | undefined;
  /** The distribution asks for a reboot: for what. */
  needed: string | undefined;
  /** A person at the host lets the next reboot happen at once. */
  isAllowed: boolean;
  /** What the host takes for the time; for reboot windows. */
  wallMs: number;
}

export type ObservedKubernetes = { state: 'reachable'; version: string } | { state: 'unreachable'; failure: Failure } | { state: 'unknown' };

/** Everything the planner knows. It never reads a clock, a disk or a socket. */
export interface HostFacts {
  target: Target;
  committed: Version | undefined;
  records: readonly LayerRecord[];
  ownedObjects: readonly OwnedObject[];
  ownedOs: readonly OwnedOs[];
  os: ObservedOs;
  /** The three below are absent where nobody looks after whole machines: in previews of the hub. */
  architecture?: AgentArch | undefined;
  machine?: MachineFacts | undefined;
  /** Only on hosts that run from an image. */
  image?: ObservedImage | undefined;
  kubernetes: ObservedKubernetes;
  /** Only where the agent brings Kubernetes up itself, or did. */
  distribution?: DistributionFacts | undefined;
  /** Only where hosts share the duty to apply. */
  duty?: Duty | undefined;
  /** By `refKey`. */
  objects: ReadonlyMap<string, ObservedObject>;
  hooksDone: ReadonlySet<string>;
}

/** A layer for which nothing can be done at the moment, and why. */
export interface Blocked {
  layer: string;
  failure: Failure;
}

/** The decision. Empty steps and nothing blocked: converged. */
export interface Plan {
  version: Version;
  parent: Digest | undefined;
  steps: readonly Step[];
  blocked: readonly Blocked[];
}
