import type { ReactElement } from 'react';
import type { PlanView } from '@groundplane/protocol/api/views';
import { shortDigest } from '../model/names.ts';
import { kindTitle, type Tone } from '../model/tone.ts';
import { Icon } from './icon.tsx';
import { Badge, Name } from './text.tsx';

type PlannedLayer = PlanView['layers'][number];
const changeTone: Readonly<Record<PlannedLayer['change'], Tone>> = { add: 'good', change: 'warn', remove: 'bad', same: 'idle' };

const Objects = ({ layer }: { layer: PlannedLayer }): ReactElement | null => {
  const moved = layer.objects.filter((object) => object.change !== 'keep');
  if (layer.objects.length === 0) return null;
  return (
    <details>
      <summary>
        {layer.objects.length === 1 ? '1 object' : `${layer.objects.length} objects`}, {moved.length} of them touched
      </summary>
      <ul className="objects">
        {layer.objects.slice(0, 200).map((object) => (
          <li key={object.object}>
            <code>{object.change}</code> <bdi>{object.object}</bdi>
          </li>
        ))}
        {layer.objects.length > 200 && <li className="quiet">and {layer.objects.length - 200} more</li>}
      </ul>
    </details>
  );
};

const Layer = ({ layer }: { layer: PlannedLayer }): ReactElement => {
  const from = layer.from && `${layer.from.name} ${layer.from.version}`;
  const to = layer.to && `${layer.to.name} ${layer.to.version}`;
  return (
    <li className={`kind-${layer.kind}`}>
      <div className="row">
        <Badge tone={changeTone[layer.change]} text={layer.change} />
        <span className="layer-kind">{kindTitle[layer.kind]}</span>
        <Name text={layer.name} />
      </div>
      <p className="quiet">
        <bdi>{from === undefined || to === undefined || from === to ? (to ?? from ?? '') : `${from} → ${to}`}</bdi>
      </p>
      <Objects layer={layer} />
    </li>
  );
};

/** What applying would do, as the hub and the agent will do it. */
export const PlanPreview = ({ plan }: { plan: PlanView }): ReactElement => (
  <div className="plan">
    <p>
      {plan.changes ? (
        <>
          Changes {plan.hosts === 1 ? '1 host' : `${plan.hosts} hosts`}; bundle <code title={plan.bundle}>{shortDigest(plan.bundle)}</code>.
        </>
      ) : (
        'Applying this changes nothing: it runs like this already.'
      )}
    </p>
    {plan.warnings.map((warning) => (
      <p key={warning} className="plan-warning">
        <Icon name="warn" />
        <bdi>{warning}</bdi>
      </p>
    ))}
    <h3>Layers</h3>
    <ul className="stack-preview">
      {plan.layers.map((layer) => (
        <Layer key={`${layer.kind}/${layer.name}`} layer={layer} />
      ))}
    </ul>
    {plan.steps.length > 0 && (
      <>
        <h3>Steps</h3>
        <ol className="plan-steps">
          {plan.steps.map((step, index) => (
            <li key={`${index}/${step}`}>
              <bdi>{step}</bdi>
            </li>
          ))}
        </ol>
      </>
    )}
  </div>
);
