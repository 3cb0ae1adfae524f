import { isRecord } from '@groundplane/protocol/record';
import type { Failure } from '@groundplane/protocol/failure';
import { layerKinds } from '@groundplane/protocol/layer';
import { setValue as setInValues } from '@groundplane/protocol/pack/values';
import { own, readSource } from '@groundplane/protocol/pack/source';
import { useState, type ReactElement } from 'react';
import { stringify } from 'yaml';
import { readText } from '../edit/change-document.ts';
import { isName, nameRule } from '../model/names.ts';
import { kindTitle } from '../model/tone.ts';
import { Check, Choice, Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { useUrlState } from '../url-state.ts';
import { useDraftScope, useLayerEdit } from './draft.ts';
import { textIn, type LayerSketch } from './layers.ts';
import { useValues, type PartProps } from './values-part.tsx';

const name = (text: string): string | undefined => (text === '' || isName(text) ? undefined : `It ${nameRule}.`);
const number =
  (min: number, max: number) =>
  (text: string): string | undefined =>
    text === '' || (/^-?\d+$/.test(text) && Number(text) >= min && Number(text) <= max) ? undefined : `A whole number from ${min} to ${max}.`;

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
const joined = (value: unknown): string => (Array.isArray(value) ? value.map(String).join('\n') : '');
const optionalNumber = (text: string): number | undefined => (text === '' ? undefined : Number(text));

const yamlOf = (value: unknown): string => (value === undefined ? '' : stringify(value, { lineWidth: 0 }));
const checkList = (text: string): string | undefined => (text.trim() === '' || Array.isArray(readText(text)) ? undefined : 'This is not a list in YAML.');

const ChartFields = ({ layer }: { layer: LayerSketch }): ReactElement => {
  const edit = useLayerEdit(layer);
  const helm = layer.raw['helm'];
  return (
    <>
      <Field
        label="Release name"
        value={textIn(helm, 'releaseName') ?? ''}
        placeholder="the layer's name"
        commit={(text) => edit.setOrRemove(['helm', 'releaseName'], text)}
        check={name}
      />
      <Choice
        label="CRDs of the chart"
        value={textIn(helm, 'crds') ?? 'apply'}
        options={[
          ['apply', 'install and update'],
          ['createOnly', 'install, never update'],
          ['skip', 'leave out'],
        ]}
        commit={(text) => edit.set(['helm', 'crds'], text)}
      />
    </>
  );
};

const ZarfFields = ({ layer }: { layer: LayerSketch }): ReactElement => {
  const edit = useLayerEdit(layer);
  const zarf = layer.raw['zarf'];
  const variables = isRecord(zarf) && isRecord(zarf['variables']) ? zarf['variables'] : {};
  return (
    <>
      <Field
        label="Optional components"
        value={isRecord(zarf) ? joined(zarf['components']) : ''}
        rows={3}
        hint="One a line; -name leaves a default one out."
        commit={(text) => edit.setOrRemove(['zarf', 'components'], lines(text).length === 0 ? undefined : lines(text))}
      />
      <Field
        label="Package variables"
        value={Object.keys(variables).length === 0 ? '' : yamlOf(variables)}
        rows={3}
        hint="YAML: NAME: value, names in capitals."
        check={(text) => (text.trim() === '' || isRecord(readText(text)) ? undefined : 'This is not a map in YAML.')}
        commit={(text) => edit.setOrRemove(['zarf', 'variables'], text.trim() === '' ? undefined : readText(text))}
      />
    </>
  );
};

/** The display name of a pack stands in its values. */
const PackFields = ({ layer, unit }: Pick<PartProps, 'layer' | 'unit'>): ReactElement => {
  const { text, write, isReady } = useValues(layer, unit);
  const [failure, setFailure] = useState<Failure | undefined>(undefined);
  const held = own(own(readSource(text, 'values.yaml').source?.plain, 'pack'), 'spectrocloud.com/display-name');
  return (
    <>
      <Field
        label="Display name"
        isReadOnly={!isReady}
        value={typeof held === 'string' ? held : ''}
        placeholder={layer.unit?.name ?? ''}
        hint="Tells two layers of one pack apart; its releases are named after it. Stands in the values."
        commit={(next) => {
          const done = setInValues(text, ['pack', 'spectrocloud.com/display-name'], next);
          setFailure(done.ok ? undefined : done.failure);
          if (done.ok) write(done.value);
        }}
      />
      {failure !== undefined && <Problem failure={failure} />}
    </>
  );
};

const Order = ({ layer }: { layer: LayerSketch }): ReactElement => {
  const edit = useLayerEdit(layer);
  const { raw } = layer;
  return (
    <>
      <Field
        label="Priority"
        type="number"
        value={textIn(raw, 'priority') ?? ''}
        placeholder="0"
        hint="Lowest first. Equal numbers go together; the next group starts when this one is ready."
        commit={(text) => edit.setOrRemove(['priority'], optionalNumber(text))}
        check={number(-1_000_000, 1_000_000)}
      />
      <Field
        label="Ready within seconds"
        type="number"
        value={textIn(raw['readiness'], 'timeoutSeconds') ?? ''}
        placeholder="300"
        commit={(text) => (text === '' ? edit.remove(['readiness']) : edit.set(['readiness', 'timeoutSeconds'], Number(text)))}
        check={number(1, 86_400)}
      />
      <Field
        label="Replaces layer"
        value={textIn(raw, 'replaces') ?? ''}
        hint="A layer that is no longer in the profile and is removed before this one is installed."
        commit={(text) => edit.setOrRemove(['replaces'], text)}
        check={name}
      />
    </>
  );
};

/** Everything about installing the layer that is no value. */
export const SettingsPart = ({ layer, unit }: PartProps): ReactElement => {
  const edit = useLayerEdit(layer);
  const { layers } = useDraftScope();
  const [, setChosen] = useUrlState('layer');
  const { raw } = layer;
  const taken = (text: string): string | undefined =>
    layers.some((other) => other !== layer && other.name === text) ? `There is a layer ${text} already.` : text === '' ? 'A layer needs a name.' : name(text);
  return (
    <div className="part">
      <div className="form-grid">
        <Field
          label="Name"
          value={layer.name}
          commit={(text) => {
            edit.set(['name'], text);
            setChosen(text);
          }}
          check={taken}
        />
        <Choice
          label="Kind"
          value={layer.kind}
          options={layerKinds.filter((kind) => kind !== 'os' && kind !== 'kubernetes').map((kind) => [kind, kindTitle[kind]] as const)}
          commit={(text) => edit.set(['kind'], text)}
        />
        <Field
          label="Namespace"
          value={textIn(raw, 'namespace') ?? ''}
          placeholder={layer.source === 'pack' ? "the pack's own" : 'default'}
          commit={(text) => edit.setOrRemove(['namespace'], text)}
          check={name}
        />
        <Order layer={layer} />
        {layer.source === 'pack' && <PackFields layer={layer} unit={unit} />}
        {layer.source === 'chart' && <ChartFields layer={layer} />}
        {layer.source === 'zarf' && <ZarfFields layer={layer} />}
        <Field
          label="Settable by clusters"
          value={joined(raw['settable'])}
          rows={4}
          hint="Dotted paths of values, one a line, with all below them; * is all. Values can make a workload root, so the default is none."
          commit={(text) => edit.setOrRemove(['settable'], lines(text).length === 0 ? undefined : lines(text))}
        />
        <Field
          label="Patches"
          value={yamlOf(raw['patches'])}
          rows={6}
          placeholder={'- target: {kind: Deployment}\n  merge: |\n    spec: {replicas: 2}'}
          hint="A list in YAML, as Kustomize has them: target with merge or json. Applied to the rendered objects, in order."
          check={checkList}
          commit={(text) => edit.setOrRemove(['patches'], text.trim() === '' ? undefined : readText(text))}
        />
      </div>
      <Check
        label="Take over objects that somebody else made"
        hint="Without it, a conflict stops the layer with a message."
        value={raw['adopt'] === true}
        commit={(isSet) => edit.setOrRemove(['adopt'], isSet ? true : undefined)}
      />
    </div>
  );
};
