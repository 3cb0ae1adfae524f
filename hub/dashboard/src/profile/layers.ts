import { isRecord } from '@groundplane/protocol/record';
import type { UnitView } from '@groundplane/protocol/api/packs';
import { compareLayers, layerKinds, type LayerKind } from '@groundplane/protocol/layer';

/** Data of a document while somebody types: anything may be missing or of another shape. */
export type Loose = Readonly<Record<string, unknown>>;
export const textIn = (holder: unknown, key: string): string | undefined => {
  const value = isRecord(holder) ? holder[key] : undefined;
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined;
};

export type SourceKind = 'pack' | 'chart' | 'zarf' | 'manifests' | 'os' | 'kubernetes' | 'nothing';

/** What a layer takes from the content store. Without a digest it still has to be taken from somewhere. */
interface LayerUnit {
  kind: UnitView['kind'];
  name: string;
  version: string;
  digest: string | undefined;
}

export interface LayerSketch {
  /** In `spec.layers`; the key of all edits. */
  index: number;
  name: string;
  kind: LayerKind;
  priority: number;
  source: SourceKind;
  unit: LayerUnit | undefined;
  /** In words, for the stack. */
  brings: string;
  raw: Loose;
}

const count = (value: unknown, one: string): string[] =>
  Array.isArray(value) && value.length > 0 ? [`${value.length} ${one}${value.length === 1 ? '' : 's'}`] : [];

const unitOf = (raw: Loose): LayerUnit | undefined => {
  const [helm, zarf, pack] = [raw['helm'], raw['zarf'], raw['pack']];
  const of = (kind: UnitView['kind'], holder: unknown): LayerUnit => ({
    kind,
    name: textIn(holder, 'name') ?? '',
    version: textIn(holder, 'version') ?? '',
    digest: textIn(holder, 'digest'),
  });
  if (isRecord(helm)) return of('chart', helm['chart']);
  if (isRecord(zarf)) return of('zarf', zarf['package']);
  // A name alone is a label, and machines have values only to be referred to; otherwise it is a pack that was not found yet.
  const isMachine = raw['os'] !== undefined || raw['kubernetes'] !== undefined;
  const isLabel = isRecord(pack) && pack['digest'] === undefined && (isMachine || (raw['manifests'] !== undefined && pack['values'] === undefined));
  return isRecord(pack) && !isLabel ? of('pack', pack) : undefined;
};

const bringsOf = (raw: Loose, unit: LayerUnit | undefined): string => {
  const parts: string[] = [];
  if (unit !== undefined) parts.push(`${unit.kind} ${unit.name} ${unit.version}`.trim());
  parts.push(...count(raw['manifests'], 'manifest'));
  const os = raw['os'];
  if (isRecord(os))
    parts.push(...count(os['files'], 'file'), ...count(os['units'], 'unit'), ...(isRecord(os['sysctls']) ? count(Object.keys(os['sysctls']), 'sysctl') : []));
  const kubernetes = raw['kubernetes'];
  if (isRecord(kubernetes)) parts.push(`${textIn(kubernetes, 'distribution') ?? ''} ${textIn(kubernetes, 'version') ?? ''}`.trim());
  parts.push(...count(raw['patches'], 'patch').map((text) => text.replace('patchs', 'patches')));
  return parts.length === 0 ? 'nothing yet' : parts.join(', ');
};

const sourceOf = (raw: Loose, unit: LayerUnit | undefined): SourceKind => {
  if (unit !== undefined) return unit.kind;
  if (raw['os'] !== undefined) return 'os';
  if (raw['kubernetes'] !== undefined) return 'kubernetes';
  return raw['manifests'] === undefined ? 'nothing' : 'manifests';
};

/** The layers of a document as far as they can be read while somebody types, in install order. */
export const sketchLayers = (raw: unknown): LayerSketch[] => {
  const spec = isRecord(raw) ? raw['spec'] : undefined;
  const layers: unknown[] = isRecord(spec) && Array.isArray(spec['layers']) ? spec['layers'] : [];
  return layers
    .flatMap((layer, index): LayerSketch[] => {
      if (!isRecord(layer)) return [];
      const unit = unitOf(layer);
      return [
        {
          index,
          name: textIn(layer, 'name') ?? '(no name)',
          kind: layerKinds.find((kind) => kind === layer['kind']) ?? 'addon',
          priority: typeof layer['priority'] === 'number' ? layer['priority'] : 0,
          source: sourceOf(layer, unit),
          unit,
          brings: bringsOf(layer, unit),
          raw: layer,
        },
      ];
    })
    .toSorted(compareLayers);
};

/** The part of a layer that names a unit. */
export const unitFields = ({ kind, name, version, digest, registry }: Omit<UnitView, 'usedBy'>): Record<string, unknown> => {
  if (kind === 'chart') return { helm: { chart: { digest, name, version } } };
  if (kind === 'zarf') return { zarf: { package: { digest, name, version } } };
  return { pack: { name, version, digest, ...(registry === undefined ? {} : { registry }) } };
};

/** A unit in place of another one. The same kind keeps its values, and only what says where it comes from changes. */
export const swapped = (raw: Loose, to: Omit<UnitView, 'usedBy'>, rename: string): Record<string, unknown> => {
  const { pack, helm, zarf, name, replaces, ...rest } = raw;
  const before = unitOf(raw);
  const keep = before?.kind === to.kind ? { pack, chart: helm, zarf }[to.kind] : undefined;
  const fields = Object.entries(unitFields(to)).map(([key, value]) => [key, { ...(isRecord(keep) ? keep : {}), ...(value as object) }] as const);
  const isRenamed = rename !== name;
  // What replaced something in an earlier version goes on to do so, unless the name of this layer changes now.
  const replaced = isRenamed ? name : replaces;
  return { name: rename, ...rest, ...Object.fromEntries(fields), ...(replaced === undefined ? {} : { replaces: replaced }) };
};

/** Where the values of a layer stand, below the layer. */
export const valuesPath: Readonly<Partial<Record<SourceKind, readonly string[]>>> = {
  pack: ['pack', 'values'],
  chart: ['helm', 'values'],
  zarf: ['zarf', 'values'],
};

/** The layer's own values; `undefined` when it takes those of its unit as they are. */
export const ownValues = ({ raw, source }: LayerSketch): string | undefined => {
  const [holder, key] = valuesPath[source] ?? [];
  const text = holder === undefined || key === undefined ? undefined : textIn(raw[holder], key);
  // A chart's values are over those that it has; a pack's stand in place of them.
  return text === '' && source !== 'pack' ? undefined : text;
};

/** Priorities after a layer moved one step among those of its kind: numbers are swapped; equal ones are told apart by one. */
export const movedPriorities = (layers: readonly LayerSketch[], layer: LayerSketch, step: -1 | 1): { index: number; priority: number }[] | undefined => {
  const mates = layers.filter((other) => other.kind === layer.kind);
  const neighbour = mates[mates.indexOf(layer) + step];
  if (neighbour === undefined) return undefined;
  if (neighbour.priority === layer.priority) return [{ index: layer.index, priority: layer.priority + step }];
  return [
    { index: layer.index, priority: neighbour.priority },
    { index: neighbour.index, priority: layer.priority },
  ];
};

/** A name that no layer has yet, made of one that is wanted. */
export const freeName = (wanted: string, layers: readonly { name: string }[]): string => {
  const taken = new Set(layers.map((layer) => layer.name));
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted.slice(0, 58)}-${number}`;
  return name;
};
