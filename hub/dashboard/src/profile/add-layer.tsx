import { isRecord } from '@groundplane/protocol/record';
import { useQuery } from '@tanstack/react-query';
import type { LayerKind } from '@groundplane/protocol/layer';
import { plainName } from '@groundplane/protocol/palette/import';
import { useState, type ReactElement } from 'react';
import { packQuery } from '../api/queries-content.ts';
import { addToList, readText } from '../edit/change-document.ts';
import { isName, nameRule } from '../model/names.ts';
import { kindTitle } from '../model/tone.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Choice } from '../parts/field.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { useScope } from '../scope.ts';
import { useDraftScope } from './draft.ts';
import { freeName, textIn, unitFields } from './layers.ts';
import { UnitChoice, type Unit } from './unit-choice.tsx';
import { UnitFacts } from './unit-facts.tsx';

type From = 'unit' | 'manifests' | 'yaml';
const unitLayers = ['addon', 'network', 'storage'] as const;

const starters: Readonly<Record<'manifests' | 'yaml', string>> = {
  manifests: 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  key: value\n',
  yaml: 'name: kubernetes\nkind: kubernetes\nkubernetes:\n  distribution: existing\n',
};

const kindOptions = unitLayers.map((kind) => [kind, kindTitle[kind]] as const);

interface Wanted {
  layer: Record<string, unknown> | undefined;
  why: string | undefined;
}

const wantedOf = (from: From, unit: Unit | undefined, name: string, kind: LayerKind, text: string): Wanted => {
  if (from === 'yaml') {
    const layer = readText(text);
    return isRecord(layer) && isName(textIn(layer, 'name') ?? '')
      ? { layer, why: undefined }
      : { layer: undefined, why: 'Write one layer as YAML: a map with name and kind.' };
  }
  if (from === 'unit' && unit === undefined) return { layer: undefined, why: 'Choose what the layer brings first.' };
  if (!isName(name)) return { layer: undefined, why: `The name ${nameRule}.` };
  if (from === 'manifests') return { layer: { name, kind, manifests: [{ name, content: text }] }, why: undefined };
  return { layer: { name, kind, ...(unit === undefined ? {} : unitFields(unit)) }, why: undefined };
};

interface AddLayerProps {
  onClose: () => void;
  onAdded: (name: string) => void;
}

export const AddLayer = ({ onClose, onAdded }: AddLayerProps): ReactElement => {
  const { project } = useScope();
  const { layers, change } = useDraftScope();
  const [from, setFrom] = useState<From>('unit');
  const [unit, setUnit] = useState<Unit | undefined>(undefined);
  const [named, setNamed] = useState<string | undefined>(undefined);
  const [asked, setAsked] = useState<string | undefined>(undefined);
  const [texts, setTexts] = useState(starters);
  const facts = useQuery({ ...packQuery(project, unit?.digest ?? ''), enabled: unit !== undefined && unit.kind !== 'zarf' }).data;
  const kind = (asked ?? unitLayers.find((each) => each === facts?.layer) ?? 'addon') as LayerKind;
  const name = named ?? (from !== 'unit' ? freeName('manifests', layers) : unit === undefined ? '' : freeName(plainName(unit.name), layers));
  const { layer, why } = wantedOf(from, unit, name, kind, from === 'yaml' ? texts.yaml : texts.manifests);
  const added = textIn(layer, 'name') ?? '';
  const taken = layers.some((each) => each.name === added) ? `There is a layer ${added} already; names are unique in a profile.` : undefined;
  const add = (): void => {
    if (layer === undefined) return;
    change((text) => addToList(text, ['spec', 'layers'], layer));
    onAdded(added);
    onClose();
  };
  return (
    <Dialog open onClose={onClose} title="Add layer" wide>
      <Tabs
        label="What the layer is made of"
        tabs={[
          { key: 'unit', text: 'Pack, chart or package' },
          { key: 'manifests', text: 'Manifests' },
          { key: 'yaml', text: 'YAML' },
        ]}
        chosen={from}
        choose={setFrom}
      />
      {from === 'unit' ? (
        <>
          <UnitChoice chosen={unit} choose={setUnit} />
          {unit !== undefined && <UnitFacts unit={unit} />}
        </>
      ) : (
        <label>
          {from === 'yaml' ? 'Layer as YAML' : 'Kubernetes objects as YAML'}
          <textarea rows={9} spellCheck={false} value={texts[from]} onChange={(event) => setTexts({ ...texts, [from]: event.target.value })} />
        </label>
      )}
      {from !== 'yaml' && (
        <div className="two">
          <label>
            Name of the layer
            <input value={name} spellCheck={false} onChange={(event) => setNamed(event.target.value)} />
          </label>
          <Choice label="Kind" value={kind} options={kindOptions} commit={setAsked} />
        </div>
      )}
      <div className="row end">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" onClick={add} why={why ?? taken}>
          Add layer
        </Button>
      </div>
    </Dialog>
  );
};
