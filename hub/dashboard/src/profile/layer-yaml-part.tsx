import { isRecord } from '@groundplane/protocol/record';
import type { EditorView } from '@codemirror/view';
import { useMemo, useState, type ReactElement } from 'react';
import { stringify } from 'yaml';
import { readText } from '../edit/change-document.ts';
import { useTyped } from '../edit/use-typed.ts';
import { YamlEditor } from '../edit/yaml-editor.tsx';
import { useLayerEdit } from './draft.ts';
import { type LayerSketch } from './layers.ts';

/** The whole layer as its document has it: everything that has no field of its own. */
export const LayerYamlPart = ({ layer }: { layer: LayerSketch }): ReactElement => {
  const edit = useLayerEdit(layer);
  const [view, setView] = useState<EditorView | null>(null);
  const given = useMemo(() => stringify(layer.raw, { lineWidth: 0, blockQuote: 'literal' }), [layer.raw]);
  // A text with mistakes stays in the editor until it can be read; the document keeps the last good one.
  const [broken, setBroken] = useState<string | undefined>(undefined);
  const { text, type, flush } = useTyped(broken ?? given, (next) => {
    const read = readText(next);
    setBroken(isRecord(read) ? undefined : next);
    if (isRecord(read)) edit.set([], read);
  });
  return (
    <div className="part">
      {broken === undefined ? (
        <p className="quiet">Comments in here are kept in the YAML tab only.</p>
      ) : (
        <p className="note" role="alert">
          This is not yet a layer that can be read, so the profile still has the one before. Go on writing.
        </p>
      )}
      <YamlEditor label={`Layer ${layer.name} as YAML`} text={text} problems={[]} onChange={type} onBlur={flush} view={view} onView={setView} />
    </div>
  );
};
