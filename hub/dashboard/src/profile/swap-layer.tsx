import { useState, type ReactElement } from 'react';
import { removeValue, setValue } from '../edit/change-document.ts';
import { isName, nameRule } from '../model/names.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Name } from '../parts/text.tsx';
import { useDraftScope } from './draft.ts';
import { swapped, type LayerSketch } from './layers.ts';
import { UnitChoice, type Unit } from './unit-choice.tsx';
import { UnitFacts } from './unit-facts.tsx';

interface SwapLayerProps {
  layer: LayerSketch;
  onClose: () => void;
  onSwapped: (name: string) => void;
}

/** Another version, or another unit altogether. Under a new name, clusters remove the old layer first. */
export const SwapLayer = ({ layer, onClose, onSwapped }: SwapLayerProps): ReactElement => {
  const { layers, change } = useDraftScope();
  const [unit, setUnit] = useState<Unit | undefined>(undefined);
  const [name, setName] = useState(layer.name);
  const why =
    unit === undefined
      ? 'Choose what comes in its place first.'
      : !isName(name)
        ? `The name ${nameRule}.`
        : layers.some((other) => other !== layer && other.name === name)
          ? `There is a layer ${name} already.`
          : undefined;
  const swap = (): void => {
    if (unit === undefined) return;
    const next = swapped(layer.raw, unit, name);
    const at = ['spec', 'layers', layer.index];
    // Field by field, so that comments of what stays live on.
    change((text) => {
      const gone = Object.keys(layer.raw).filter((key) => !Object.hasOwn(next, key));
      const cleared = gone.reduce((held, key) => removeValue(held, [...at, key]), text);
      return Object.entries(next).reduce((held, [key, value]) => (value === layer.raw[key] ? held : setValue(held, [...at, key], value)), cleared);
    });
    onSwapped(name);
    onClose();
  };
  const keeps = unit !== undefined && unit.kind === layer.unit?.kind;
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Swap layer ${layer.name}`}
      wide
      about={
        <p>
          Now: <Name text={layer.brings} />. Its values stay when the same kind of thing comes in its place.
        </p>
      }
    >
      <UnitChoice chosen={unit} choose={setUnit} />
      {unit !== undefined && <UnitFacts unit={unit} />}
      <label>
        Name of the layer
        <input value={name} spellCheck={false} onChange={(event) => setName(event.target.value)} />
        <span className="hint">
          {name === layer.name
            ? 'The same name: clusters change the layer in place.'
            : `Another name: clusters remove ${layer.name} before they install ${name} (replaces).`}
        </span>
      </label>
      {unit !== undefined && (
        <p className="quiet">{keeps ? 'The edited values of this layer stay; check them against the new one.' : 'The values of this layer go.'}</p>
      )}
      <div className="row end">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" onClick={swap} why={why}>
          Swap
        </Button>
      </div>
    </Dialog>
  );
};
