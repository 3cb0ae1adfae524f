import { useQuery } from '@tanstack/react-query';
import type { PackView } from '@groundplane/protocol/api/packs';
import { useMemo, type ReactElement } from 'react';
import { packQuery } from '../api/queries-content.ts';
import { kindTitle } from '../model/tone.ts';
import { Problem } from '../parts/problem.tsx';
import { Tabs, type Tab } from '../parts/tabs.tsx';
import { Name, Tag } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';
import { useDraftScope } from './draft.ts';
import { FormPart } from './form-part.tsx';
import { guideOf } from './guide.ts';
import { LayerYamlPart } from './layer-yaml-part.tsx';
import { valuesPath, type LayerSketch } from './layers.ts';
import { ManifestsPart } from './manifests-part.tsx';
import { PresetsPart } from './presets-part.tsx';
import { SettingsPart } from './settings-part.tsx';
import { ValuesPart } from './values-part.tsx';

const parts = ['values', 'form', 'presets', 'manifests', 'settings', 'yaml'] as const;
type Part = (typeof parts)[number];

const tabsFor = (layer: LayerSketch, unit: PackView | undefined): Tab<Part>[] => {
  if (layer.source === 'os' || layer.source === 'kubernetes') return [{ key: 'yaml', text: 'YAML' }];
  const whyNoValues = valuesPath[layer.source] === undefined ? 'Manifests have no values; they use variables directly.' : undefined;
  const whyNoPresets =
    layer.source !== 'pack' ? 'Only packs bring presets.' : unit !== undefined && unit.presets === undefined ? 'This pack brings no presets.' : undefined;
  return [
    { key: 'values', text: 'Values', why: whyNoValues },
    { key: 'form', text: 'Form', why: whyNoValues ?? (layer.source === 'zarf' ? 'A package brings no rules for a form; edit its values.' : undefined) },
    { key: 'presets', text: 'Presets', why: whyNoPresets },
    { key: 'manifests', text: 'Manifests' },
    { key: 'settings', text: 'Settings' },
    { key: 'yaml', text: 'YAML' },
  ];
};

const Unfound = ({ layer }: { layer: LayerSketch }): ReactElement | null =>
  layer.unit !== undefined && layer.unit.digest === undefined ? (
    <p className="note">
      The {layer.unit.kind} {layer.unit.name} {layer.unit.version} is not in the hub yet. Press Swap and import it from a registry; the values here stay.
    </p>
  ) : null;

/** The chosen layer, part by part. */
export const LayerEditor = ({ layer }: { layer: LayerSketch }): ReactElement => {
  const { project } = useScope();
  const { variables } = useDraftScope();
  const [asked, setPart] = useUrlState('part');
  const digest = layer.unit?.kind === 'zarf' ? undefined : layer.unit?.digest;
  const unit = useQuery({ ...packQuery(project, digest ?? ''), enabled: digest !== undefined });
  const guide = useMemo(
    () =>
      guideOf(
        unit.data,
        variables.map((variable) => `{{.spectro.var.${variable.name}}}`),
      ),
    [unit.data, variables],
  );
  const tabs = tabsFor(layer, unit.data);
  const open = tabs.filter((tab) => tab.why === undefined);
  const part = open.find((tab) => tab.key === asked)?.key ?? open[0]?.key ?? 'yaml';
  const shared = { layer, unit: unit.data, guide };
  return (
    <section className="card layer-editor" aria-label={`Layer ${layer.name.slice(0, 80)}`}>
      <header>
        <h2>
          <Name text={layer.name} />
        </h2>
        <Tag>{kindTitle[layer.kind]}</Tag>
        <span className="quiet clip">
          <bdi>{layer.brings}</bdi>
        </span>
      </header>
      <Tabs label={`Parts of the layer ${layer.name.slice(0, 80)}`} tabs={tabs} chosen={part} choose={setPart} />
      <Unfound layer={layer} />
      {unit.error !== null && <Problem failure={unit.error} />}
      {part === 'values' && <ValuesPart {...shared} isLoading={digest !== undefined && unit.data === undefined && unit.error === null} />}
      {part === 'form' && <FormPart {...shared} />}
      {part === 'presets' && <PresetsPart {...shared} />}
      {part === 'manifests' && <ManifestsPart layer={layer} />}
      {part === 'settings' && <SettingsPart {...shared} />}
      {part === 'yaml' && <LayerYamlPart layer={layer} />}
    </section>
  );
};
