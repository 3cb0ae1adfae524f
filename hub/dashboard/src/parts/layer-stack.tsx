import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { layerStates } from '@groundplane/protocol/observed';
import type { ClusterLayerView } from '@groundplane/protocol/api/views';
import { shortDigest } from '../model/names.ts';
import { kindTitle, layerTone } from '../model/tone.ts';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { Age, Badge, Name } from './text.tsx';

const Pack = ({ of, label }: { of: { pack: { name: string; version: string }; digest: string } | undefined; label: string }): ReactElement => (
  <div className="pack">
    <span className="pack-label">{label}</span>
    {of === undefined ? (
      <span className="quiet">nothing</span>
    ) : (
      <>
        <Name text={of.pack.name} />
        <span className="pack-version">
          <Name text={of.pack.version} />
          <code title={of.digest}>{shortDigest(of.digest)}</code>
        </span>
      </>
    )}
  </div>
);

const Drift = ({ layer }: { layer: ClusterLayerView }): ReactElement | null => {
  const drift = layer.observed?.drift;
  if (drift === undefined || drift.healed === 0) return <p className="quiet">No drift.</p>;
  return (
    <p className="layer-drift">
      <strong>Drift healed {drift.healed === 1 ? 'once' : `${drift.healed} times`}</strong>
      {drift.lastAtMs !== undefined && (
        <>
          , last <Age atMs={drift.lastAtMs} />
        </>
      )}
      {drift.last !== undefined && (
        <>
          : <bdi>{drift.last}</bdi>
        </>
      )}
    </p>
  );
};

const State = ({ layer }: { layer: ClusterLayerView }): ReactElement => {
  const observed = layer.observed;
  if (observed === undefined) return <Badge tone="idle" text="no report" title="No host has reported this layer yet" />;
  return <Badge tone={layerTone[observed.state]} text={observed.state} title={layerStates[observed.state]} />;
};

const Row = ({ layer }: { layer: ClusterLayerView }): ReactElement => {
  const { project } = useScope();
  const observed = layer.observed;
  const isSame = layer.desired?.digest !== undefined && layer.desired.digest === observed?.digest;
  const sentence = observed === undefined ? 'No host has reported this layer yet.' : (observed.message ?? layerStates[observed.state]);
  return (
    <li className={`layer kind-${layer.kind}`}>
      <div className="layer-head">
        <span className="layer-kind">{kindTitle[layer.kind]}</span>
        <Name text={layer.name} />
        {layer.profile !== undefined && (
          <Link href={paths.profile(project, layer.profile.name, layer.profile.version)} className="quiet">
            {layer.profile.name} {layer.profile.version}
          </Link>
        )}
      </div>
      <div className="layer-packs">
        <Pack of={layer.desired} label="desired" />
        <span className={isSame ? 'same' : 'differs'} title={isSame ? 'Observed is what is desired' : 'Observed is not what is desired'}>
          {isSame ? '=' : '≠'}
        </span>
        <Pack of={observed} label="observed" />
      </div>
      <div className="layer-state">
        <div className="row">
          <State layer={layer} />
          {observed !== undefined && observed.objects.total > 0 && (
            <span className="quiet nowrap">
              {observed.objects.ready}/{observed.objects.total} objects ready
            </span>
          )}
        </div>
        <p>
          <bdi>{sentence}</bdi>
        </p>
        <Drift layer={layer} />
      </div>
    </li>
  );
};

/** The stack of a cluster or a host, in the order in which it is installed: what should run, what does, and what it says of itself. */
export const LayerStack = ({ layers }: { layers: readonly ClusterLayerView[] }): ReactElement =>
  layers.length === 0 ? (
    <p className="quiet">There is no layer: nothing is assigned and nothing was reported.</p>
  ) : (
    <ol className="layers" aria-label="Layers in install order">
      {layers.map((layer) => (
        <Row key={`${layer.kind}/${layer.name}`} layer={layer} />
      ))}
    </ol>
  );
