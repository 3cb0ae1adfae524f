import type { EditorView } from '@codemirror/view';
import type { PackView } from '@groundplane/protocol/api/packs';
import { useDeferredValue, useEffectEvent, useMemo, useState, type ReactElement } from 'react';
import { ProblemList } from '../edit/problem-list.tsx';
import { useTyped } from '../edit/use-typed.ts';
import { jumpTo, YamlEditor } from '../edit/yaml-editor.tsx';
import { Button } from '../parts/button.tsx';
import { Loading } from '../parts/page.tsx';
import { checkLayerValues } from './check-values.ts';
import { useLayerEdit } from './draft.ts';
import type { Guide } from './guide.ts';
import { ownValues, valuesPath, type LayerSketch } from './layers.ts';
import { guided } from './values-extensions.ts';

export interface PartProps {
  layer: LayerSketch;
  unit: PackView | undefined;
  guide: Guide;
}

/** What the values of a layer are now, and how to write them. */
interface Values {
  text: string;
  /** The profile has them; otherwise they are the unit's own. */
  isOwn: boolean;
  /** False while the pack's own values are not here: an edit would be of nothing, and would take their place. */
  isReady: boolean;
  write: (text: string) => void;
  drop: () => void;
}

/** What the values of a layer are now, and how to write them. */
export const useValues = (layer: LayerSketch, unit: PackView | undefined): Values => {
  const edit = useLayerEdit(layer);
  const own = ownValues(layer);
  const path = valuesPath[layer.source] ?? [];
  return {
    text: own ?? (layer.source === 'pack' ? (unit?.values ?? '') : ''),
    isOwn: own !== undefined,
    isReady: own !== undefined || layer.source !== 'pack' || unit !== undefined,
    write: (text) => edit.set(path, text),
    drop: () => edit.remove(path),
  };
};

const whose = (layer: LayerSketch, isOwn: boolean): string => {
  if (layer.source !== 'pack') return 'Written over the values that it has itself.';
  return isOwn ? "Edited in this profile, in place of the pack's own." : "The pack's own values. The first change copies them into this profile.";
};

export const ValuesPart = ({ layer, unit, guide, isLoading }: PartProps & { isLoading: boolean }): ReactElement => {
  const { text: given, isOwn, write, drop } = useValues(layer, unit);
  const { text, type, flush } = useTyped(given, write);
  const [view, setView] = useState<EditorView | null>(null);
  const calm = useDeferredValue(text);
  const problems = useMemo(() => checkLayerValues(calm, guide), [calm, guide]);
  const known = useEffectEvent(() => guide);
  const [more] = useState(() => guided(() => known()));
  if (isLoading && layer.source === 'pack' && !isOwn) return <Loading what="the pack's values" />;
  return (
    <div className="part">
      <div className="row spread">
        <p className="quiet">{whose(layer, isOwn)} Ctrl Space completes.</p>
        {layer.source === 'pack' && (
          <Button onClick={drop} why={isOwn ? undefined : "They are the pack's own already."}>
            Back to the pack's own
          </Button>
        )}
      </div>
      <YamlEditor label={`Values of ${layer.name}`} text={text} problems={problems} onChange={type} onBlur={flush} more={more} view={view} onView={setView} />
      {problems.length > 0 && <ProblemList problems={problems} jump={(problem) => jumpTo(view, problem.from)} />}
      {layer.source === 'chart' && unit !== undefined && unit.values !== '' && (
        <details>
          <summary>Values that the chart has itself</summary>
          <pre className="shown" tabIndex={0}>
            {unit.values}
          </pre>
        </details>
      )}
    </div>
  );
};
