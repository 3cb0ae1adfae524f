import { useQueries, useQuery } from '@tanstack/react-query';
import type { ClusterValuesView } from '@groundplane/protocol/api/profile-views';
import type { ClusterView } from '@groundplane/protocol/api/views';
import { useState, type ReactElement } from 'react';
import { clusterValuesQuery } from '../api/queries-content.ts';
import { profileQuery } from '../api/queries.ts';
import { Answer, Card, Empty } from '../parts/page.tsx';
import { Name, Tag } from '../parts/text.tsx';
import { Uses } from '../profile/preview-part.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';
import { Overrides } from './overrides.tsx';

type ValuesLayer = ClusterValuesView['layers'][number];
const shownMax = 1_000;

interface OfProfile {
  settable: readonly string[];
  /** Of the pack or chart that the layer takes. */
  digest: string | undefined;
}

/** What the profiles of the cluster say of its layers: what it may set, and where the values come from. */
const useOfProfiles = (cluster: ClusterView): ReadonlyMap<string, OfProfile> => {
  const { project } = useScope();
  const profiles = useQueries({ queries: cluster.profiles.map(({ name, version }) => ({ ...profileQuery(project, name, version), retry: false })) });
  const layers = profiles.flatMap((profile) => profile.data?.spec.layers ?? []);
  return new Map(layers.map((layer) => [layer.name, { settable: layer.settable ?? [], digest: layer.pack?.digest ?? layer.helm?.chart.digest }]));
};

const Fields = ({ layer }: { layer: ValuesLayer }): ReactElement => {
  const [text, setText] = useState('');
  const wanted = text.trim().toLowerCase();
  const fields = layer.fields.filter((field) => `${field.path} ${field.from}`.toLowerCase().includes(wanted));
  if (layer.fields.length === 0) return <p className="quiet">This layer has no values: it takes those of its chart, or has manifests only.</p>;
  return (
    <div className="stack">
      {layer.fields.length > 10 && (
        <label>
          Find a field or where it comes from
          <input type="search" value={text} onChange={(event) => setText(event.target.value)} />
        </label>
      )}
      <div className="scroll-x" tabIndex={0} role="region" aria-label={`Fields of ${layer.name.slice(0, 80)}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Value</th>
              <th scope="col">From</th>
              <th scope="col">Over</th>
            </tr>
          </thead>
          <tbody>
            {fields.slice(0, shownMax).map((field) => (
              <tr key={field.path}>
                <td className="value-cell">
                  <code>{field.path}</code>
                </td>
                <td className="value-cell">
                  <code>{field.value.slice(0, 400)}</code>
                </td>
                <td>{field.from === 'cluster' ? <Tag>this cluster</Tag> : field.from}</td>
                <td className="quiet">{field.over.length === 0 ? '' : field.over.join(', ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {fields.length > shownMax && <p className="quiet">and {fields.length - shownMax} more; search for them.</p>}
      <Uses uses={layer.uses} />
    </div>
  );
};

/** What values the layers of a cluster run with, who said each, and what this cluster says itself. */
const ClusterValues = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const { project } = useScope();
  const values = useQuery(clusterValuesQuery(project, cluster.name));
  const ofProfiles = useOfProfiles(cluster);
  const [wanted, setWanted] = useUrlState('layer');
  return (
    <Answer of={values} what="the values">
      {({ layers }) => {
        const chosen = layers.find((layer) => layer.name === wanted) ?? layers.find((layer) => layer.fields.length > 0) ?? layers[0];
        if (chosen === undefined) return <Empty title="This cluster has no layers" />;
        const of = ofProfiles.get(chosen.name);
        return (
          <div className="stack-columns">
            <section className="card stack-card" aria-label="Layers">
              <ol className="stack-preview">
                {layers.map((layer) => (
                  <li key={layer.name}>
                    <button type="button" className="layer-choice" aria-pressed={layer === chosen} onClick={() => setWanted(layer.name)}>
                      <Name text={layer.name} />
                      <span className="quiet clip">
                        {layer.fields.length === 1 ? '1 field' : `${layer.fields.length} fields`}
                        {cluster.spec.overrides?.[layer.name] === undefined ? '' : ', overridden here'}
                      </span>
                    </button>
                  </li>
                ))}
              </ol>
            </section>
            <div className="stack">
              <Card title={`Values of ${chosen.name.slice(0, 80)}`}>
                <Fields key={chosen.name} layer={chosen} />
              </Card>
              <Overrides key={`override/${chosen.name}`} cluster={cluster} layer={chosen.name} settable={of?.settable ?? []} digest={of?.digest} />
            </div>
          </div>
        );
      }}
    </Answer>
  );
};

export default ClusterValues;
