import { isRecord } from '@groundplane/protocol/record';
import type { EditorView } from '@codemirror/view';
import { useState, type ReactElement } from 'react';
import { useTyped } from '../edit/use-typed.ts';
import { YamlEditor } from '../edit/yaml-editor.tsx';
import { Button } from '../parts/button.tsx';
import { Field } from '../parts/field.tsx';
import { Name } from '../parts/text.tsx';
import { useDraftScope, useLayerEdit } from './draft.ts';
import { addToList } from '../edit/change-document.ts';
import { freeName, textIn, type LayerSketch } from './layers.ts';

interface Manifest {
  index: number;
  name: string;
  content: string;
}

const manifestsOf = (layer: LayerSketch): Manifest[] => {
  const list: unknown[] = Array.isArray(layer.raw['manifests']) ? layer.raw['manifests'] : [];
  return list.flatMap((item, index) => (isRecord(item) ? [{ index, name: textIn(item, 'name') ?? '', content: textIn(item, 'content') ?? '' }] : []));
};

const One = ({ layer, manifest }: { layer: LayerSketch; manifest: Manifest }): ReactElement => {
  const edit = useLayerEdit(layer);
  const [view, setView] = useState<EditorView | null>(null);
  const { text, type, flush } = useTyped(manifest.content, (next) => edit.set(['manifests', manifest.index, 'content'], next));
  return (
    <>
      <Field
        label="Name of the manifest"
        value={manifest.name}
        commit={(name) => edit.set(['manifests', manifest.index, 'name'], name)}
        check={(name) => (name.trim() === '' ? 'A manifest needs a name.' : undefined)}
      />
      <YamlEditor label={`Manifest ${manifest.name}`} text={text} problems={[]} onChange={type} onBlur={flush} view={view} onView={setView} />
    </>
  );
};

const starter = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata: {}\n';

/** Kubernetes objects that the layer brings beside its unit, or alone. They may use variables and macros. */
export const ManifestsPart = ({ layer }: { layer: LayerSketch }): ReactElement => {
  const { change } = useDraftScope();
  const edit = useLayerEdit(layer);
  const manifests = manifestsOf(layer);
  const [wanted, setWanted] = useState(0);
  const chosen = manifests[Math.min(wanted, manifests.length - 1)];
  const add = (): void => {
    change((text) => addToList(text, ['spec', 'layers', layer.index, 'manifests'], { name: freeName('manifest', manifests), content: starter }));
    setWanted(manifests.length);
  };
  const last = layer.source === 'manifests' && manifests.length === 1 ? 'A layer of manifests has at least one; remove the layer instead.' : undefined;
  return (
    <div className="part">
      <div className="row spread">
        <div className="row" role="group" aria-label="Manifests">
          {manifests.map((manifest) => (
            <Button key={manifest.index} kind="quiet" pressed={manifest === chosen} onClick={() => setWanted(manifest.index)}>
              <Name text={manifest.name === '' ? '(no name)' : manifest.name} />
            </Button>
          ))}
          {manifests.length === 0 && <span className="quiet">None yet. They come after what the unit brings.</span>}
        </div>
        <div className="row">
          <Button onClick={add}>Add manifest</Button>
          {chosen !== undefined && (
            <Button kind="danger" onClick={() => edit.remove(manifests.length === 1 ? ['manifests'] : ['manifests', chosen.index])} why={last}>
              Remove manifest
            </Button>
          )}
        </div>
      </div>
      {chosen !== undefined && <One key={chosen.index} layer={layer} manifest={chosen} />}
    </div>
  );
};
