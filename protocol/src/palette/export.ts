import semver from 'semver';
import type { Finding } from '../finding.ts';
import type { Layer } from '../layer.ts';
import type { ProfileSpec, Variable } from '../profile.ts';
import { layerNames, typeNames, type PalettePack, type PaletteProfile, type PaletteVariable } from './format.ts';

interface Exportable {
  name: string;
  version: string;
  labels: Readonly<Record<string, string>>;
  spec: ProfileSpec;
}

const variableOf = (variable: Variable): PaletteVariable => ({
  name: variable.name,
  displayName: variable.displayName ?? variable.name,
  description: variable.description ?? '',
  inputType: variable.inputType,
  format: variable.format,
  // Masked in exports, and given again at the import: a file that people pass around must hold no secrets.
  defaultValue: variable.sensitive ? '' : (variable.default ?? ''),
  required: variable.required,
  regex: variable.regex ?? '',
  immutable: variable.immutable,
  hidden: variable.hidden,
  isSensitive: variable.sensitive,
  options: (variable.options ?? []).map((option) => ({
    value: option.value,
    label: option.label ?? '',
    description: option.description ?? '',
    default: option.value === variable.default,
  })),
});

/** Below `charts.<name>`; empty lines stay empty. */
const indented = (text: string): string => `${text.trimEnd().replaceAll(/^(?=.)/gm, '    ')}\n`;

const packOf = (layer: Layer, version: string, lost: (what: string) => void): PalettePack => {
  const manifests = (layer.manifests ?? []).map(({ name, content }) => ({ name, content }));
  const frame = (name: string, packVersion: string, type: string, kind: string, values: string): PalettePack => ({
    name,
    type,
    layer: layerNames[layer.kind],
    version: packVersion,
    tag: packVersion,
    values,
    registry: { metadata: { uid: '', name: layer.pack?.registry ?? '', kind, isPrivate: false } },
    manifests,
  });
  if (layer.patches !== undefined) lost('patches');
  if (layer.helm?.valuesLayers !== undefined || layer.pack?.valuesLayers !== undefined) lost('valuesLayers');
  if (layer.os !== undefined && layer.os.files.length + layer.os.units.length + Object.keys(layer.os.sysctls).length > 0) lost('os');
  if (layer.replaces !== undefined) lost('replaces');
  const namespace = layer.namespace === undefined ? '' : `  namespace: ${layer.namespace}\n`;
  const priority = layer.priority === 0 ? '' : `  spectrocloud.com/install-priority: "${layer.priority}"\n`;
  const { helm } = layer;
  const release = helm?.releaseName === undefined ? '' : `  releaseNameOverride:\n    ${helm.chart.name}: ${helm.releaseName}\n`;
  const packName = helm?.chart.name ?? layer.zarf?.package.name ?? layer.pack?.name ?? layer.name;
  const display = packName === layer.name ? '' : `  spectrocloud.com/display-name: "${layer.name}"\n`;
  const settings = namespace + display + priority + release;
  const header = settings === '' ? '' : `pack:\n${settings}`;
  if (helm !== undefined) {
    const inner = helm.values.trim() === '' ? ' {}\n' : `\n${indented(helm.values)}`;
    return frame(helm.chart.name, helm.chart.version, 'helm', 'helm', `${header}charts:\n  ${helm.chart.name}:${inner}`);
  }
  if (layer.zarf?.values) lost('zarf.values');
  if (layer.zarf !== undefined) return frame(layer.zarf.package.name, layer.zarf.package.version, 'oci', 'zarf', header);
  if (layer.kubernetes !== undefined && layer.pack === undefined) {
    const { distribution, version: range } = layer.kubernetes;
    return frame(distribution, (semver.validRange(range) === null ? undefined : semver.minVersion(range ?? '*')?.version) ?? '0.0.0', 'spectro', 'pack', '');
  }
  if (layer.pack?.digest !== undefined || layer.kind === 'os' || layer.kind === 'kubernetes')
    return frame(layer.pack?.name ?? layer.name, layer.pack?.version ?? version, 'spectro', 'pack', layer.pack?.values ?? '');
  return frame(layer.pack?.name ?? layer.name, layer.pack?.version ?? version, 'manifest', 'pack', header);
};

/** A profile in the JSON that Palette imports. What has no place there is a finding. */
export const exportPaletteProfile = (profile: Exportable): { profile: PaletteProfile; findings: Finding[] } => {
  const findings: Finding[] = [];
  const packs = profile.spec.layers.map((layer) =>
    packOf(layer, profile.version, (what) =>
      findings.push({
        severity: 'warning',
        code: 'not-exported',
        file: `${profile.name}@${profile.version}`,
        message: `layer ${layer.name}: "${what}" has no place in Palette's format`,
      }),
    ),
  );
  return {
    profile: {
      metadata: { name: profile.name, description: profile.spec.description ?? '', labels: { ...profile.labels } },
      spec: {
        version: profile.version,
        template: { type: typeNames[profile.spec.type], cloudType: 'all', packs },
        variables: profile.spec.variables.map(variableOf),
      },
    },
    findings,
  };
};
