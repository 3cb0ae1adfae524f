import { useState, type ReactElement } from 'react';
import { removeValue, setValue } from '../edit/change-document.ts';
import { kindTitle } from '../model/tone.ts';
import { Button } from '../parts/button.tsx';
import { Icon } from '../parts/icon.tsx';
import { Name } from '../parts/text.tsx';
import { AddLayer } from './add-layer.tsx';
import { useDraftScope } from './draft.ts';
import { DuplicateLayer } from './duplicate-layer.tsx';
import { movedPriorities, type LayerSketch } from './layers.ts';
import { SwapLayer } from './swap-layer.tsx';

type Asked = 'add' | 'swap' | 'duplicate';

const whyNoUnit = (layer: LayerSketch): string | undefined =>
  layer.source === 'os' || layer.source === 'kubernetes' ? `A layer of kind ${layer.kind} is written, not taken from a registry. Edit its YAML.` : undefined;

const Tools = ({ layer, ask }: { layer: LayerSketch; ask: (what: Asked) => void }): ReactElement => {
  const { change, layers } = useDraftScope();
  const move = (step: -1 | 1): void => {
    const places = movedPriorities(layers, layer, step);
    if (places === undefined) return;
    change((text) => places.reduce((held, { index, priority }) => setValue(held, ['spec', 'layers', index, 'priority'], priority), text));
  };
  const why = (step: -1 | 1): string | undefined =>
    movedPriorities(layers, layer, step) === undefined
      ? `It is the ${step < 0 ? 'first' : 'last'} of kind ${layer.kind}; kinds have a fixed order.`
      : undefined;
  return (
    <div className="row tools">
      <Button kind="quiet" label="Install earlier" onClick={() => move(-1)} why={why(-1)}>
        <Icon name="up" />
      </Button>
      <Button kind="quiet" label="Install later" onClick={() => move(1)} why={why(1)}>
        <Icon name="down" />
      </Button>
      <Button onClick={() => ask('swap')} why={whyNoUnit(layer)}>
        Swap
      </Button>
      <Button
        onClick={() => ask('duplicate')}
        why={['os', 'kubernetes', 'network'].includes(layer.kind) ? `A profile has one layer of kind ${layer.kind}.` : undefined}
      >
        Duplicate
      </Button>
      <Button
        kind="danger"
        onClick={() => change((text) => removeValue(text, ['spec', 'layers', layer.index]))}
        why={layers.length === 1 ? 'A profile has at least one layer; add another one first.' : undefined}
      >
        Remove
      </Button>
    </div>
  );
};

/** The layers in the order in which they are installed, and what can be done with the chosen one. */
export const Stack = ({ chosen, choose }: { chosen: LayerSketch | undefined; choose: (name: string) => void }): ReactElement => {
  const { layers } = useDraftScope();
  const [asked, setAsked] = useState<Asked | undefined>(undefined);
  const close = (): void => setAsked(undefined);
  return (
    <section className="card stack-card" aria-label="Layers">
      <header>
        <h2>Layers</h2>
        <Button onClick={() => setAsked('add')} label="Add a layer">
          <Icon name="plus" />
          Add
        </Button>
      </header>
      {layers.length === 0 && <p className="quiet">No layer yet. Add the first one: Kubernetes itself, or a pack, chart or manifest.</p>}
      <ol className="stack-preview" aria-label="Layers in install order">
        {layers.map((layer) => (
          <li key={layer.index} className={`kind-${layer.kind}`}>
            <button type="button" className="layer-choice" aria-pressed={layer === chosen} onClick={() => choose(layer.name)}>
              <span className="layer-kind">
                {kindTitle[layer.kind]}
                {layer.priority !== 0 && <span className="quiet"> priority {layer.priority}</span>}
              </span>
              <Name text={layer.name} />
              <span className="quiet clip">
                <bdi>{layer.brings}</bdi>
              </span>
            </button>
          </li>
        ))}
      </ol>
      {chosen !== undefined && <Tools layer={chosen} ask={setAsked} />}
      {asked === 'add' && <AddLayer onClose={close} onAdded={choose} />}
      {asked === 'swap' && chosen !== undefined && <SwapLayer layer={chosen} onClose={close} onSwapped={choose} />}
      {asked === 'duplicate' && chosen !== undefined && <DuplicateLayer layer={chosen} onClose={close} onAdded={choose} />}
    </section>
  );
};
