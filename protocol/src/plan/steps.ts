import type { Digest } from '../digest.ts';
import type { HookEvent, Version } from '../bundle.ts';
import type { NodeTaint } from '../distribution/node-traits.ts';
import type { ObjectRef } from '../kubernetes.ts';
import type { RebootCause } from './reboot.ts';

/** Why an object, file or setting has to be written. */
export type ApplyReason = 'new' | 'changed' | 'missing' | 'drifted';

/**
 * Every step that exists, with its arguments. The `Step` union and every executor table derive from this: a new step is one line here and one executor.
 * A step leaves no choice to the executor and is safe to run twice.
 */
export interface StepArgs {
  /** Notes in the journal that a layer is being installed, upgraded or rolled back; from now on its hooks belong to `revision`. */
  beginLayer: { layer: string; digest: Digest; event: LayerEvent; revision: number };
  writeFile: { layer: string; path: string; digest: Digest; mode: string; owner: string; group: string; reason: ApplyReason };
  /** Puts back what was there before us, or deletes the file. */
  restoreFile: { layer: string; path: string };
  setSysctl: { layer: string; key: string; value: string; reason: ApplyReason };
  restoreSysctl: { layer: string; key: string };
  reloadUnits: { layer: string };
  setUnit: { layer: string; unit: string; enabled: boolean; active: boolean; restart: boolean };
  /** Puts a unit back to enabled/active as it was before us. */
  restoreUnit: { layer: string; unit: string };
  /** One transaction of the package manager for all of them. */
  setPackages: { layer: string; packages: readonly { name: string; version?: string | undefined }[]; reason: ApplyReason };
  /** Puts packages back to the version, or the absence, that was there before us. */
  restorePackages: { layer: string; names: readonly string[] };
  loadModule: { layer: string; module: string };
  restoreModule: { layer: string; module: string };
  setUser: { layer: string; user: string; groups: readonly string[]; shell: string; reason: ApplyReason };
  restoreUser: { layer: string; user: string };
  /** Puts a program of a distribution in its place, whole or not at all. */
  placeProgram: { layer: string; path: string; digest: Digest; mode: string; reason: ApplyReason };
  removePrograms: { layer: string };
  /** The hosts of the cluster by name, in a block of its own in /etc/hosts. */
  setHostNames: { layer: string; names: Readonly<Record<string, string>> };
  /** Makes the cluster. `afresh`: what an attempt left behind is wiped first. */
  initKubernetes: { layer: string; digest: Digest; afresh: boolean };
  joinKubernetes: { layer: string; digest: Digest; role: 'control-plane' | 'worker'; afresh: boolean };
  startKubernetes: { layer: string; restart: boolean };
  repairKubernetes: { layer: string; parts: readonly string[] };
  healServicePath: { layer: string; closedSeconds: number };
  renewCertificates: { layer: string };
  /** `required`: without it nothing after it may happen. */
  saveDatastore: { layer: string; required: boolean };
  /** `first`: the shared configuration of the cluster is changed too. */
  upgradeKubernetes: { layer: string; digest: Digest; version: string; first: boolean };
  /** Notes on this host and on its node which layer it was brought to, once the node is alive with it. */
  markApplied: { layer: string; digest: Digest };
  /** `last`: nobody else stays, so nobody is told. */
  leaveKubernetes: { layer: string; last: boolean };
  /** Steps of the keeper, for the whole cluster. */
  inviteHost: { layer: string; host: string; name: string; role: 'control-plane' | 'worker'; sealKey: string };
  removeNode: { layer: string; node: string; role: 'control-plane' | 'worker' };
  giveTurn: { layer: string; node: string; digest: Digest; drain: boolean; timeoutMs: number };
  endTurn: { layer: string; node: string };
  /** Labels and taints of a node that is there, as they are wanted; those of others stay. */
  setNodeTraits: { layer: string; node: string; labels: Readonly<Record<string, string>>; taints: readonly NodeTaint[] };
  /** Links to images of /usr, then one refresh that lays them over it. */
  setExtensions: { layer: string; extensions: readonly { name: string; digest: Digest }[] };
  restoreExtensions: { layer: string; names: readonly string[] };
  /** Checks the image's signature and writes it to the slot that is free. No boot takes it yet. */
  stageImage: { layer: string; version: string; digest: Digest };
  /** From now on the next boot tries it. */
  activateImage: { layer: string; version: string };
  /** Ends the plan: what follows a reboot is planned after it. */
  rebootHost: { layer: string; cause: RebootCause };
  /** Whether the distribution asks for a reboot shows after packages were changed; then it is planned anew. */
  lookForReboot: { layer: string };
  /** Puts a version of the agent into the free slot and starts it; the steps behind are of the next start. Without digest there is no package for this machine. */
  updateAgent: { layer: string; version: string; digest: Digest | undefined };
  /** The new agent proves itself before anything is built on it. */
  awaitAgent: { layer: string; version: string };
  ensureNamespace: { layer: string; namespace: string };
  applyObject: { layer: string; ref: ObjectRef; digest: Digest; reason: ApplyReason; adopt: boolean; createOnly: boolean; keep: boolean };
  /** Deletes exactly the incarnation that we made. */
  pruneObject: { layer: string; ref: ObjectRef };
  /** Stops owning an object and leaves it where it is. */
  releaseObject: { layer: string; ref: ObjectRef };
  runHook: { layer: string; event: HookEvent; ref: ObjectRef; digest: Digest; key: string; deletePolicies: readonly string[]; timeoutMs: number };
  awaitReady: { layers: readonly string[]; timeoutMs: number };
  finishLayer: { layer: string; digest: Digest };
  /** The layer is the same under another profile or pack version. */
  relabelLayer: { layer: string; version: string };
  forgetLayer: { layer: string };
  /** The whole desired state holds: it becomes current and last known good. */
  commit: { version: Version };
}

export type LayerEvent = 'install' | 'upgrade' | 'rollback' | 'delete';
export type StepKind = keyof StepArgs;
export type Step = { [K in StepKind]: { step: K } & StepArgs[K] }[StepKind];

/** One sentence per step, for plan previews, the journal and the audit log. */
const sentences: { [K in StepKind]: (args: StepArgs[K]) => string } = {
  beginLayer: (s) => `${s.event} layer ${s.layer}`,
  writeFile: (s) => `write ${s.path} (${s.reason})`,
  restoreFile: (s) => `restore ${s.path}`,
  setSysctl: (s) => `set ${s.key} = ${s.value} (${s.reason})`,
  restoreSysctl: (s) => `restore ${s.key}`,
  reloadUnits: () => 'reload systemd units',
  setUnit: (s) => `${s.active ? (s.restart ? 'restart' : 'start') : 'stop'} and ${s.enabled ? 'enable' : 'disable'} ${s.unit}`,
  restoreUnit: (s) => `restore ${s.unit}`,
  setPackages: (s) => `install ${s.packages.map((item) => (item.version === undefined ? item.name : `${item.name} ${item.version}`)).join(', ')} (${s.reason})`,
  restorePackages: (s) => `restore packages ${s.names.join(', ')}`,
  loadModule: (s) => `load kernel module ${s.module}`,
  restoreModule: (s) => `restore kernel module ${s.module}`,
  setUser: (s) => `set account ${s.user} (${s.reason})`,
  restoreUser: (s) => `restore account ${s.user}`,
  placeProgram: (s) => `place ${s.path} (${s.reason})`,
  removePrograms: () => 'remove the programs of Kubernetes',
  setHostNames: (s) => `write the names of ${Object.keys(s.names).length} hosts`,
  initKubernetes: (s) => (s.afresh ? 'make the cluster afresh' : 'make the cluster'),
  joinKubernetes: (s) => `join the cluster as ${s.role}`,
  startKubernetes: (s) => `${s.restart ? 'restart' : 'start'} Kubernetes`,
  repairKubernetes: (s) => `repair ${s.parts.join(', ')}`,
  healServicePath: (s) => `start kube-proxy anew: Services have not answered for ${s.closedSeconds} s`,
  renewCertificates: () => 'renew certificates',
  saveDatastore: () => 'save a snapshot of the datastore',
  upgradeKubernetes: (s) => `change Kubernetes to ${s.version}${s.first ? ', for the whole cluster' : ''}`,
  markApplied: () => 'wait for the node and note what it runs',
  leaveKubernetes: (s) => (s.last ? 'take Kubernetes off this host' : 'leave the cluster'),
  inviteHost: (s) => `invite ${s.name} as ${s.role}`,
  removeNode: (s) => `remove node ${s.node}`,
  giveTurn: (s) => `${s.drain ? 'drain node' : 'let node'} ${s.node}${s.drain ? ' and let it' : ''} change`,
  endTurn: (s) => `node ${s.node} is done`,
  setNodeTraits: (s) => `set labels and taints of node ${s.node}`,
  setExtensions: (s) => `set system extensions ${s.extensions.map((item) => item.name).join(', ')}`,
  restoreExtensions: (s) => `restore system extensions ${s.names.join(', ')}`,
  stageImage: (s) => `write image ${s.version} to the free slot`,
  activateImage: (s) => `let the next boot try image ${s.version}`,
  rebootHost: (s) => `reboot for ${s.cause.kind === 'image' ? `image ${s.cause.version}` : s.cause.words}`,
  lookForReboot: () => 'see whether a reboot is needed',
  updateAgent: (s) => `update the agent to ${s.version}`,
  awaitAgent: (s) => `wait until agent ${s.version} is healthy`,
  ensureNamespace: (s) => `ensure namespace ${s.namespace}`,
  applyObject: (s) => `apply ${s.ref.kind} ${s.ref.namespace === undefined ? '' : `${s.ref.namespace}/`}${s.ref.name} (${s.reason})`,
  pruneObject: (s) => `prune ${s.ref.kind} ${s.ref.namespace === undefined ? '' : `${s.ref.namespace}/`}${s.ref.name}`,
  releaseObject: (s) => `leave ${s.ref.kind} ${s.ref.namespace === undefined ? '' : `${s.ref.namespace}/`}${s.ref.name} in place, no longer owned`,
  runHook: (s) => `run ${s.event} hook ${s.ref.kind} ${s.ref.name}`,
  awaitReady: (s) => `wait until ready: ${s.layers.join(', ')}`,
  finishLayer: (s) => `layer ${s.layer} is in place`,
  relabelLayer: (s) => `layer ${s.layer} is unchanged and is called version ${s.version} now`,
  forgetLayer: (s) => `layer ${s.layer} is gone`,
  commit: (s) => `generation ${s.version.generation} holds`,
};

export const stepText = (step: Step): string => (sentences[step.step] as (args: Step) => string)(step);

/** The layers a step speaks of. */
export const stepLayer = (step: Step): string | undefined => ('layer' in step ? step.layer : undefined);
