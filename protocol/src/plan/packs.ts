import type { BundleHook, BundleLayer, BundleObject, HookEvent } from '../bundle.ts';
import { refKey } from '../kubernetes.ts';
import type { HostFacts, LayerRecord, OwnedObject } from './facts.ts';
import type { ApplyReason, LayerEvent, Step } from './steps.ts';

/** Name of one run of one hook: the same hook runs again only for another revision or event. */
export const hookKey = (layer: string, revision: number, event: HookEvent, hook: Pick<BundleHook, 'ref'>): string =>
  `${layer}/${revision}/${event}/${refKey(hook.ref)}`;

/** Helm's order: weight, then kind, then name. */
const compareHooks = (a: BundleHook, b: BundleHook): number =>
  a.weight - b.weight || (a.ref.kind < b.ref.kind ? -1 : a.ref.kind > b.ref.kind ? 1 : 0) || (a.ref.name < b.ref.name ? -1 : a.ref.name > b.ref.name ? 1 : 0);

export const planHooks = (facts: HostFacts, layer: BundleLayer, revision: number, event: HookEvent): Step[] =>
  layer.hooks
    .filter((hook) => hook.events.includes(event))
    .toSorted(compareHooks)
    .filter((hook) => !facts.hooksDone.has(hookKey(layer.name, revision, event, hook)))
    .map((hook) => ({
      step: 'runHook',
      layer: layer.name,
      event,
      ref: hook.ref,
      digest: hook.digest,
      key: hookKey(layer.name, revision, event, hook),
      deletePolicies: hook.deletePolicies,
      timeoutMs: layer.readinessTimeoutMs,
    }));

const applyReason = (facts: HostFacts, object: BundleObject, owned: OwnedObject | undefined): ApplyReason | undefined => {
  const seen = facts.objects.get(refKey(object.ref))?.state ?? 'missing';
  if (object.crd === 'createOnly' && seen !== 'missing') return undefined;
  if (owned === undefined) return 'new';
  if (seen === 'missing') return 'missing';
  if (owned.digest !== object.digest) return 'changed';
  return seen === 'same' ? undefined : 'drifted';
};

/** Which events a layer's hooks see. Install is not upgrade, and a rollback is its own thing (Helm's events). */
const before: Record<Exclude<LayerEvent, 'delete'>, HookEvent> = { install: 'pre-install', upgrade: 'pre-upgrade', rollback: 'pre-rollback' };
const after: Record<Exclude<LayerEvent, 'delete'>, HookEvent> = { install: 'post-install', upgrade: 'post-upgrade', rollback: 'post-rollback' };

const namespaceSteps = (facts: HostFacts, layer: BundleLayer): Step[] => {
  const namespace = layer.namespace;
  if (namespace === undefined || layer.objects.some((object) => object.ref.kind === 'Namespace' && object.ref.name === namespace)) return [];
  const seen = facts.objects.get(refKey({ apiVersion: 'v1', kind: 'Namespace', name: namespace }));
  return seen === undefined || seen.state === 'missing' ? [{ step: 'ensureNamespace', layer: layer.name, namespace }] : [];
};

/** Brings one layer of Kubernetes objects to what it says: hooks before, CRDs and objects in install order, hooks after. Pruning comes once the layer is ready. */
export const planPackLayer = (facts: HostFacts, layer: BundleLayer, event: Exclude<LayerEvent, 'delete'>, revision: number, installing: boolean): Step[] => {
  const owned = new Map(facts.ownedObjects.map((object) => [refKey(object.ref), object]));
  const [early, objects]: [Step[], Step[]] = [[], []];
  for (const object of layer.objects) {
    const mine = owned.get(refKey(object.ref));
    const reason = applyReason(facts, object, mine) ?? (mine !== undefined && mine.layer !== layer.name ? 'changed' : undefined);
    if (reason === undefined) continue;
    (object.early === true ? early : objects).push({
      step: 'applyObject',
      layer: layer.name,
      ref: object.ref,
      digest: object.digest,
      reason,
      adopt: layer.adopt,
      createOnly: object.crd === 'createOnly',
      keep: object.keep === true || object.crd !== undefined,
    });
  }
  if (!installing) return early.length + objects.length === 0 ? [] : [...namespaceSteps(facts, layer), ...early, ...objects];
  return [
    ...namespaceSteps(facts, layer),
    ...early,
    ...planHooks(facts, layer, revision, before[event]),
    ...objects,
    ...planHooks(facts, layer, revision, after[event]),
  ];
};

/** Delete what we made and nothing else: adopted, kept and CRD objects are left in place. */
const dropObject = (object: OwnedObject): Step =>
  object.adopted || object.keep
    ? { step: 'releaseObject', layer: object.layer, ref: object.ref }
    : { step: 'pruneObject', layer: object.layer, ref: object.ref };

/** Objects of a kept layer that no layer names any more, last applied first. */
export const planPrune = (facts: HostFacts, layerName: string, wanted: ReadonlySet<string>): Step[] =>
  facts.ownedObjects
    .filter((object) => object.layer === layerName && object.hook !== true && !wanted.has(refKey(object.ref)))
    .toReversed()
    .map(dropObject);

/** What we own for a layer that neither the target nor the journal knows: a namespace that outlived the layer that made it, the leftover of a last hook. */
export const planOrphans = (facts: HostFacts, wanted: ReadonlySet<string>): Step[] => {
  const known = new Set([...facts.target.layers.map((item) => item.layer.name), ...facts.records.map((record) => record.name)]);
  return facts.ownedObjects
    .filter((object) => !known.has(object.layer) && !wanted.has(refKey(object.ref)))
    .toReversed()
    .map(dropObject);
};

/** Takes a whole layer away: hooks, then its objects in reverse install order (Palette deletes by priority reversed; Helm by kind reversed). */
export const planRemovePack = (facts: HostFacts, record: LayerRecord, wanted: ReadonlySet<string>): Step[] => {
  const removing = record.event === 'delete' ? record.revision : record.revision + 1;
  const order = new Map(record.layer.objects.map((object, index) => [refKey(object.ref), index]));
  const mine = facts.ownedObjects.filter((object) => object.layer === record.name && !wanted.has(refKey(object.ref)));
  const position = (object: OwnedObject): number => order.get(refKey(object.ref)) ?? -1;
  return [
    ...planHooks(facts, record.layer, removing, 'pre-delete'),
    ...mine.toSorted((a, b) => position(b) - position(a)).map(dropObject),
    ...planHooks(facts, record.layer, removing, 'post-delete'),
  ];
};
