import { compareLayers, type Layer } from '../layer.ts';
import { fail, ok, type Result } from '../failure.ts';
import type { ProfileSpec } from '../profile.ts';
import { substitute, type Lookup } from './substitute.ts';
import { resolveVariables } from './variables.ts';

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
  macros: Readonly<Record<string, string>>;
  /** `spectro.system.*` without that prefix: `cluster.name`. */
  system: Readonly<Record<string, string>>;
}

/** A layer with every reference replaced, and where it came from. */
export interface ResolvedLayer {
  profile: { name: string; version: string };
  layer: Layer;
}

const lookupFor = (input: ResolveInput, variables: ReadonlyMap<string, string>, profile: ProfileVersionInput): Lookup => {
  const system: Record<string, string> = { ...input.system, 'clusterprofile.name': profile.name, 'clusterprofile.version': profile.version };
  return (path) => {
    const [root, scope, ...rest] = path.split('.');
    const key = rest.join('.');
    if (root !== 'spectro') return undefined;
    if (scope === 'var') return variables.get(key);
    if (scope === 'macro') return Object.hasOwn(input.macros, key) ? input.macros[key] : undefined;
    if (scope === 'system') return Object.hasOwn(system, key) ? system[key] : undefined;
    return undefined;
  };
};

/** Replaces references in every text of a layer that goes to a host or a cluster; names and paths stay literal. */
const substituteLayer = (layer: Layer, lookup: Lookup): Result<Layer> => {
  const element = `layer ${layer.name}`;
  const copy = structuredClone(layer);
  const texts: { get: string; where: string; set: (value: string) => void }[] = [];
  for (const manifest of copy.manifests ?? [])
    texts.push({ get: manifest.content, where: `manifest ${manifest.name}`, set: (value) => void (manifest.content = value) });
  const helm = copy.helm;
  if (helm !== undefined) texts.push({ get: helm.values, where: 'helm values', set: (value) => void (helm.values = value) });
  for (const file of copy.os?.files ?? []) texts.push({ get: file.content, where: `file ${file.path}`, set: (value) => void (file.content = value) });
  for (const unit of copy.os?.units ?? []) {
    if (unit.content !== undefined) texts.push({ get: unit.content, where: `unit ${unit.name}`, set: (value) => void (unit.content = value) });
    for (const dropIn of unit.dropIns) texts.push({ get: dropIn.content, where: `drop-in ${dropIn.name}`, set: (value) => void (dropIn.content = value) });
  }
  const sysctls = copy.os?.sysctls;
  for (const [key, value] of Object.entries(sysctls ?? {}))
    texts.push({ get: String(value), where: `sysctl ${key}`, set: (text) => void (sysctls !== undefined && (sysctls[key] = text)) });
  for (const text of texts) {
    const replaced = substitute(text.get, lookup, `${element}, ${text.where}`);
    if (!replaced.ok) return replaced;
    text.set(replaced.value);
  }
  return ok(copy);
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
  const layers: ResolvedLayer[] = [];
  for (const profile of input.profiles) {
    const variables = resolveVariables(profile.spec.variables, input.variables);
    if (!variables.ok) return variables;
    const lookup = lookupFor(input, variables.value, profile);
    for (const layer of profile.spec.layers) {
      const replaced = substituteLayer(layer, lookup);
      if (!replaced.ok) return replaced;
      layers.push({ profile: { name: profile.name, version: profile.version }, layer: replaced.value });
    }
  }
  return ok(layers.toSorted((a, b) => compareLayers(a.layer, b.layer)));
};
