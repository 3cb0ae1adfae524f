import { compareLayers, type Layer } from '../layer.ts';
import { fail, ok, type Result } from '../failure.ts';
import { limits } from '../limits.ts';
import { parseHeader } from '../pack/header.ts';
import { readSource } from '../pack/source.ts';
import type { ProfileSpec } from '../profile.ts';
import { substitute } from './substitute.ts';
import { createReferences, type MacroValue, type Origin, type References } from './references.ts';
import type { Lookup } from './template.ts';
import { resolveVariables } from './variables.ts';
import { substituteYaml } from './yaml-text.ts';

export interface ProfileVersionInput {
  name: string;
  version: string;
  spec: ProfileSpec;
}

/** What a cluster's profiles are resolved with. */
export interface ResolveInput {
  profiles: readonly ProfileVersionInput[];
  variables: Readonly<Record<string, string>>;
  /** Macros, nearer scope already over the farther one (project > tenant > system). */
  macros: Readonly<Record<string, MacroValue>>;
  /** `spectro.system.*` without that prefix: `cluster.name`. */
  system: Readonly<Record<string, string>>;
  /** Values that the cluster itself gives to layers, by layer. */
  overrides?: Readonly<Record<string, { values: string }>>;
}

/** One reference in a layer: where it stands and where its value came from. */
export interface Use {
  /** `helm values`, `manifest web.yaml` */
  where: string;
  reference: string;
  origin: Origin;
  sensitive: boolean;
}

/** A layer with every reference replaced, and where it came from. */
export interface ResolvedLayer {
  profile: { name: string; version: string };
  layer: Layer;
  uses: Use[];
}

interface Text {
  get: string;
  where: string;
  isYaml: boolean;
  set: (value: string) => void;
}

/** Every text of a layer that goes to a host or a cluster; names and paths stay literal. */
const textsOf = (layer: Layer): Text[] => {
  const texts: Text[] = [];
  const add = (get: string, where: string, isYaml: boolean, set: (value: string) => void): void => void texts.push({ get, where, isYaml, set });
  for (const manifest of layer.manifests ?? []) add(manifest.content, `manifest ${manifest.name}`, true, (value) => void (manifest.content = value));
  for (const [name, source] of [['helm', layer.helm] as const, ['pack', layer.pack] as const]) {
    if (source === undefined) continue;
    if (source.values !== undefined) add(source.values, `${name} values`, true, (value) => void (source.values = value));
    const more = source.valuesLayers ?? [];
    for (const [index, values] of more.entries()) add(values, `${name} values, layer ${index + 1}`, true, (value) => void (more[index] = value));
  }
  const zarf = layer.zarf;
  if (zarf !== undefined) {
    add(zarf.values, 'zarf values', true, (value) => void (zarf.values = value));
    for (const [key, value] of Object.entries(zarf.variables)) add(value, `zarf variable ${key}`, false, (text) => void (zarf.variables[key] = text));
  }
  for (const [index, patch] of (layer.patches ?? []).entries()) {
    if (patch.merge !== undefined) add(patch.merge, `patch ${index + 1}`, true, (value) => void (patch.merge = value));
    if (patch.json !== undefined) add(patch.json, `patch ${index + 1}`, true, (value) => void (patch.json = value));
  }
  for (const file of layer.os?.files ?? []) add(file.content, `file ${file.path}`, false, (value) => void (file.content = value));
  for (const unit of layer.os?.units ?? []) {
    if (unit.content !== undefined) add(unit.content, `unit ${unit.name}`, false, (value) => void (unit.content = value));
    for (const dropIn of unit.dropIns) add(dropIn.content, `drop-in ${dropIn.name}`, false, (value) => void (dropIn.content = value));
  }
  const sysctls = layer.os?.sysctls;
  if (sysctls !== undefined)
    for (const [key, value] of Object.entries(sysctls)) add(String(value), `sysctl ${key}`, false, (text) => void (sysctls[key] = text));
  return texts;
};

const substituteLayer = (layer: Layer, references: References, profile: ProfileVersionInput): Result<{ layer: Layer; uses: Use[] }> => {
  const element = `layer ${layer.name}`;
  const copy = structuredClone(layer);
  const uses = new Map<string, Use>();
  for (const text of textsOf(copy)) {
    if (!text.get.includes('.spectro.')) continue;
    const lookup: Lookup = (path) => {
      const found = references.find(path, profile);
      if (!found.ok) return found;
      if (found.value === undefined) return undefined;
      uses.set(`${text.where} ${path}`, { where: text.where, reference: path, origin: found.value.origin, sensitive: found.value.sensitive });
      return found.value.text;
    };
    const replaced = (text.isYaml ? substituteYaml : substitute)(text.get, lookup, `${element}, ${text.where}`);
    if (!replaced.ok) return replaced;
    text.set(replaced.value);
  }
  return ok({ layer: copy, uses: [...uses.values()] });
};

const checkTogether = (profiles: readonly ProfileVersionInput[]): Result<void> => {
  const bases = profiles.filter((profile) => profile.spec.type !== 'addon');
  if (bases.length > 1) {
    return fail(
      'fatal',
      'profiles-conflict',
      'profiles',
      `${bases.map((profile) => profile.name).join(' and ')} both bring infrastructure; a cluster takes one infrastructure or full profile`,
    );
  }
  const seen = new Map<string, string>();
  for (const profile of profiles) {
    for (const layer of profile.spec.layers) {
      const other = seen.get(layer.name);
      if (other !== undefined) return fail('fatal', 'layer-twice', `layer ${layer.name}`, `is in ${other} and in ${profile.name}; rename one of them`);
      seen.set(layer.name, profile.name);
    }
  }
  return ok(undefined);
};

/** Dotted paths of everything that an override sets, lists as a whole. */
const leavesOf = (value: unknown, at: readonly string[] = []): string[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && at.length < limits.jsonDepth
    ? Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...at, key]))
    : [at.join('.')];

/** Puts the cluster's own values over a layer's, as far as the profile lets it. */
const overrideLayer = (layer: Layer, values: string): Result<Layer> => {
  const element = `override of layer ${layer.name}`;
  const { helm, pack } = layer;
  const isPack = pack?.digest !== undefined;
  if (helm === undefined && !isPack) return fail('fatal', 'override-invalid', element, 'only layers made of a chart or a pack have values to override');
  const { source, findings } = readSource(values, 'override');
  if (source === undefined) return fail('fatal', 'override-invalid', element, `is not YAML: ${findings[0]?.message ?? ''}`);
  const parsed = source.plain;
  if (parsed === null || parsed === undefined) return ok(layer);
  if (typeof parsed !== 'object' || Array.isArray(parsed)) return fail('fatal', 'override-invalid', element, 'must be a map of values');
  const settable = layer.settable ?? [];
  const isSettable = (path: string): boolean => settable.some((open) => open === '*' || path === open || path.startsWith(`${open}.`));
  const closed = leavesOf(parsed).find((path) => !isSettable(path));
  if (closed !== undefined) {
    const open = settable.length === 0 ? 'it opens nothing' : `it opens ${settable.join(', ')}`;
    return fail('fatal', 'override-not-settable', element, `sets ${closed}, which the profile does not open to clusters; ${open} (layers[].settable)`);
  }
  const over = <T extends { valuesLayers?: string[] | undefined }>(source: T): T => ({ ...source, valuesLayers: [...(source.valuesLayers ?? []), values] });
  return ok({ ...layer, ...(isPack ? { pack: over(pack) } : helm === undefined ? {} : { helm: over(helm) }) });
};

const withOverrides = (input: ResolveInput): Result<ProfileVersionInput[]> => {
  const overrides = Object.entries(input.overrides ?? {});
  if (overrides.length === 0) return ok([...input.profiles]);
  const known = input.profiles.flatMap((profile) => profile.spec.layers.map((layer) => layer.name));
  const stray = overrides.find(([name]) => !known.includes(name));
  if (stray !== undefined)
    return fail('fatal', 'override-unknown', `override of layer ${stray[0]}`, `no profile of this cluster has that layer; there are ${known.join(', ')}`);
  const profiles: ProfileVersionInput[] = [];
  for (const profile of input.profiles) {
    const layers: Layer[] = [];
    for (const layer of profile.spec.layers) {
      const own = overrides.find(([name]) => name === layer.name)?.[1];
      const next = own === undefined ? ok(layer) : overrideLayer(layer, own.values);
      if (!next.ok) return next;
      layers.push(next.value);
    }
    profiles.push({ ...profile, spec: { ...profile.spec, layers } });
  }
  return ok(profiles);
};

/** Of the layer itself, else of its pack's header (`spectrocloud.com/install-priority`). */
const packPriority = (layer: Layer): number => {
  if (layer.priority !== 0 || layer.pack?.values?.includes('install-priority') !== true) return layer.priority;
  const { source } = readSource(layer.pack.values, 'values.yaml');
  return source === undefined ? 0 : (parseHeader(source).header.priority ?? 0);
};

/**
 * Profiles and values in, layers in install order out; pure. A variable that no profile declares is an error, since it is nearly always a typo.
 */
export const resolveProfiles = (input: ResolveInput): Result<ResolvedLayer[]> => {
  const together = checkTogether(input.profiles);
  if (!together.ok) return together;
  const declared = new Set(input.profiles.flatMap((profile) => profile.spec.variables.map((variable) => variable.name)));
  const stray = Object.keys(input.variables).find((name) => !declared.has(name));
  if (stray !== undefined) {
    const known = declared.size === 0 ? 'none is declared' : `declared are ${[...declared].join(', ')}`;
    return fail('fatal', 'variable-unknown', `variable ${stray}`, `no profile of this cluster declares it; ${known}`);
  }
  const profiles = withOverrides(input);
  if (!profiles.ok) return profiles;
  const variables = new Map<string, ReadonlyMap<string, string>>();
  for (const profile of profiles.value) {
    const resolved = resolveVariables(profile.spec.variables, input.variables);
    if (!resolved.ok) return resolved;
    variables.set(profile.name, resolved.value);
  }
  const references = createReferences({ ...input, profiles: profiles.value }, variables);
  const layers: ResolvedLayer[] = [];
  for (const profile of profiles.value) {
    for (const layer of profile.spec.layers) {
      const replaced = substituteLayer(layer, references, profile);
      if (!replaced.ok) return replaced;
      const priority = packPriority(replaced.value.layer);
      layers.push({ profile: { name: profile.name, version: profile.version }, ...replaced.value, layer: { ...replaced.value.layer, priority } });
    }
  }
  return ok(layers.toSorted((a, b) => compareLayers(a.layer, b.layer)));
};
