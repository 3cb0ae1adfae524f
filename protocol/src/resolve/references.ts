import { fail, ok, type Result } from '../failure.ts';
import type { Layer } from '../layer.ts';
import type { ProfileSpec } from '../profile.ts';
import { runAction, type Lookup } from './template.ts';
import { readWithReferences, type Readable } from './yaml-text.ts';

export const macroScopes = ['project', 'tenant', 'system'] as const;
export type MacroScope = (typeof macroScopes)[number];

export interface MacroValue {
  value: string;
  scope: MacroScope;
  sensitive?: boolean;
}

/** Where a value came from. */
export type Origin =
  | { from: 'cluster' }
  | { from: 'default'; profile: string }
  | { from: 'unset'; profile: string }
  | { from: 'macro'; scope: MacroScope }
  | { from: 'system' }
  | { from: 'pack'; layer: string };

export interface Found {
  text: string;
  origin: Origin;
  sensitive: boolean;
}

interface Profile {
  name: string;
  version: string;
  spec: ProfileSpec;
}

interface Input {
  profiles: readonly Profile[];
  variables: Readonly<Record<string, string>>;
  macros: Readonly<Record<string, MacroValue>>;
  system: Readonly<Record<string, string>>;
}

/** References of packs to packs to packs: deeper than anybody writes. */
const depthMax = 20;

/** `{{ .spectro.pack.NAME… }}` means the pack of this name; for charts the chart's name or the layer's. */
const namesOf = (layer: Layer): string[] => [layer.pack?.name, layer.helm?.chart.name, layer.name].filter((name) => name !== undefined);

/** What `.spectro.*` means for the profiles of one cluster. Pure; values of packs are read once. */
export const createReferences = (input: Input, variables: ReadonlyMap<string, ReadonlyMap<string, string>>) => {
  const layers = input.profiles.flatMap((profile) => profile.spec.layers.map((layer) => ({ layer, profile })));
  const readables = new Map<Layer, Readable[]>();

  const textsOf = (layer: Layer): Readable[] => {
    const known = readables.get(layer);
    if (known !== undefined) return known;
    const source = layer.pack?.values === undefined ? layer.helm : layer.pack;
    // Later layers of values win, so they are asked first.
    const read = [...(source?.valuesLayers ?? []).toReversed(), source?.values ?? ''].map(readWithReferences).filter((item) => item !== undefined);
    readables.set(layer, read);
    return read;
  };

  /** A reference to a pack that is not there, or to a value that it does not have, is empty, as in Palette. */
  const packValue = (path: string, trail: readonly string[]): Result<Found> => {
    const rest = path.slice('spectro.pack.'.length);
    const found = layers.find(({ layer }) => namesOf(layer).some((name) => rest.startsWith(`${name}.`)));
    const name = found === undefined ? undefined : namesOf(found.layer).find((item) => rest.startsWith(`${item}.`));
    const origin: Origin = { from: 'pack', layer: found?.layer.name ?? '' };
    if (found === undefined || name === undefined) return ok({ text: '', origin, sensitive: false });
    if (trail.includes(path) || trail.length >= depthMax)
      return fail('fatal', 'reference-cycle', `layer ${found.layer.name}`, `its values refer to themselves: ${[...trail, path].join(' → ')}`);
    const keys = rest.slice(name.length + 1).split('.');
    const scalar = textsOf(found.layer)
      .map((readable) => readable.scalarAt(keys))
      .find((item) => item !== undefined);
    if (scalar === undefined) return ok({ text: '', origin, sensitive: false });
    let text = scalar.text;
    let sensitive = false;
    for (const action of scalar.actions) {
      const lookup: Lookup = (inner) => {
        const value = findIn(inner, found.profile, [...trail, path]);
        if (!value.ok) return value;
        sensitive ||= value.value?.sensitive === true;
        return value.value?.text;
      };
      const value = runAction(action, lookup, `layer ${found.layer.name}, ${keys.join('.')}`);
      if (!value.ok) return value;
      text = text.replaceAll(action.raw, () => value.value);
    }
    return ok({ text, origin, sensitive });
  };

  const system = (key: string, profile: Profile): string | undefined => {
    const base = input.profiles.find((item) => item.spec.type !== 'addon');
    const own: Record<string, string | undefined> = {
      'clusterprofile.name': profile.name,
      'clusterprofile.version': profile.version,
      'clusterprofile.infra.name': base?.name,
      'clusterprofile.infra.version': base?.version,
    };
    return Object.hasOwn(own, key) ? own[key] : Object.hasOwn(input.system, key) ? input.system[key] : undefined;
  };

  const variable = (name: string, profile: Profile): Found | undefined => {
    const text = variables.get(profile.name)?.get(name);
    const declared = profile.spec.variables.find((item) => item.name === name);
    if (text === undefined || declared === undefined) return undefined;
    const from = Object.hasOwn(input.variables, name) ? 'cluster' : declared.default === undefined ? 'unset' : 'default';
    return { text, origin: from === 'cluster' ? { from } : { from, profile: profile.name }, sensitive: declared.sensitive };
  };

  const findIn = (path: string, profile: Profile, trail: readonly string[]): Result<Found | undefined> => {
    const [root, scope, ...rest] = path.split('.');
    const key = rest.join('.');
    if (root !== 'spectro') return ok(undefined);
    if (scope === 'var') return ok(variable(key, profile));
    if (scope === 'pack') return packValue(path, trail);
    if (scope === 'macro') {
      const macro = Object.hasOwn(input.macros, key) ? input.macros[key] : undefined;
      return ok(macro === undefined ? undefined : { text: macro.value, origin: { from: 'macro', scope: macro.scope }, sensitive: macro.sensitive === true });
    }
    const text = scope === 'system' ? system(key, profile) : undefined;
    return ok(text === undefined ? undefined : { text, origin: { from: 'system' }, sensitive: false });
  };

  return { find: (path: string, profile: Profile): Result<Found | undefined> => findIn(path, profile, []) };
};
export type References = ReturnType<typeof createReferences>;
