import { isRecord } from '@groundplane/protocol/record';
import { useQuery } from '@tanstack/react-query';
import { setValue as setInValues } from '@groundplane/protocol/pack/values';
import { useState, type ReactElement } from 'react';
import { packQuery } from '../api/queries-content.ts';
import { addToList } from '../edit/change-document.ts';
import { isName, nameRule } from '../model/names.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { useScope } from '../scope.ts';
import { useDraftScope } from './draft.ts';
import { freeName, ownValues, type LayerSketch } from './layers.ts';

interface DuplicateLayerProps {
  layer: LayerSketch;
  onClose: () => void;
  onAdded: (name: string) => void;
}

/** The same unit twice: releases of a pack are told apart by its display name, those of a chart by the release name. */
const copyOf = (layer: LayerSketch, name: string, unitValues: string): { copy: Record<string, unknown> } | { why: string } => {
  const copy: Record<string, unknown> = { ...layer.raw, name };
  if (layer.source === 'chart') return { copy: { ...copy, helm: { ...(layer.raw['helm'] as object), releaseName: name.slice(0, 53) } } };
  if (layer.source !== 'pack' || !isRecord(layer.raw['pack'])) return { copy };
  const values = setInValues(ownValues(layer) ?? unitValues, ['pack', 'spectrocloud.com/display-name'], name);
  return values.ok ? { copy: { ...copy, pack: { ...layer.raw['pack'], values: values.value } } } : { why: values.failure.message };
};

export const DuplicateLayer = ({ layer, onClose, onAdded }: DuplicateLayerProps): ReactElement => {
  const { project } = useScope();
  const { layers, change } = useDraftScope();
  const [name, setName] = useState(() => freeName(`${layer.name.slice(0, 57)}-2`, layers));
  const needsUnit = layer.source === 'pack' && ownValues(layer) === undefined;
  const unit = useQuery({ ...packQuery(project, layer.unit?.digest ?? ''), enabled: needsUnit && layer.unit?.digest !== undefined });
  const made = copyOf(layer, name, unit.data?.values ?? '');
  const why = !isName(name)
    ? `The name ${nameRule}.`
    : layers.some((other) => other.name === name)
      ? `There is a layer ${name} already.`
      : needsUnit && unit.data === undefined
        ? (unit.error?.message ?? 'The values of the pack are on their way.')
        : 'why' in made
          ? made.why
          : undefined;
  const add = (): void => {
    if ('why' in made) return;
    change((text) => addToList(text, ['spec', 'layers'], made.copy));
    onAdded(name);
    onClose();
  };
  return (
    <Dialog open onClose={onClose} title={`Duplicate layer ${layer.name}`}>
      <label>
        Name of the copy
        <input value={name} autoFocus spellCheck={false} onChange={(event) => setName(event.target.value)} />
        <span className="hint">
          {layer.source === 'pack'
            ? 'It becomes the display name too, so that the releases of both do not meet.'
            : 'Objects that both bring need names or namespaces of their own.'}
        </span>
      </label>
      <div className="row end">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" onClick={add} why={why}>
          Duplicate
        </Button>
      </div>
    </Dialog>
  );
};
