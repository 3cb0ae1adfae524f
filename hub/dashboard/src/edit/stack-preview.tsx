import { compareLayers, layerKinds, type LayerKind } from '@groundplane/protocol/layer';
import type { ReactElement } from 'react';
import { kindTitle } from '../model/tone.ts';
import { Name } from '../parts/text.tsx';

interface Sketch {
  name: string;
  kind: LayerKind;
  priority: number;
  brings: string;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const count = (value: unknown, one: string): string[] =>
  Array.isArray(value) && value.length > 0 ? [`${value.length} ${one}${value.length === 1 ? '' : 's'}`] : [];

const word = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');

const bringsOf = (layer: Record<string, unknown>): string => {
  const parts: string[] = [];
  const helm = layer['helm'];
  if (isRecord(helm) && isRecord(helm['chart'])) parts.push(`chart ${word(helm['chart']['name'])} ${word(helm['chart']['version'])}`);
  parts.push(...count(layer['manifests'], 'manifest'));
  const os = layer['os'];
  if (isRecord(os))
    parts.push(...count(os['files'], 'file'), ...count(os['units'], 'unit'), ...(isRecord(os['sysctls']) ? count(Object.keys(os['sysctls']), 'sysctl') : []));
  const kubernetes = layer['kubernetes'];
  if (isRecord(kubernetes)) parts.push(`${word(kubernetes['distribution'])} ${word(kubernetes['version'])}`.trim());
  return parts.length === 0 ? 'nothing yet' : parts.join(', ');
};

/** The layers of a document as far as they can be read while somebody types, in install order. */
export const sketchLayers = (raw: unknown): Sketch[] => {
  const spec = isRecord(raw) ? raw['spec'] : undefined;
  const layers = isRecord(spec) && Array.isArray(spec['layers']) ? spec['layers'].filter(isRecord) : [];
  return layers
    .map((layer): Sketch => ({
      name: typeof layer['name'] === 'string' ? layer['name'] : '(no name)',
      kind: layerKinds.find((kind) => kind === layer['kind']) ?? 'addon',
      priority: typeof layer['priority'] === 'number' ? layer['priority'] : 0,
      brings: bringsOf(layer),
    }))
    .toSorted(compareLayers);
};

export const StackPreview = ({ raw }: { raw: unknown }): ReactElement => {
  const layers = sketchLayers(raw);
  if (layers.length === 0) return <p className="quiet">No layer can be read yet.</p>;
  return (
    <ol className="stack-preview" aria-label="Layers in install order">
      {layers.map((layer, index) => (
        <li key={`${layer.name}/${index}`} className={`kind-${layer.kind}`}>
          <span className="layer-kind">{kindTitle[layer.kind]}</span>
          <Name text={layer.name} />
          <span className="quiet clip">
            <bdi>{layer.brings}</bdi>
          </span>
        </li>
      ))}
    </ol>
  );
};
