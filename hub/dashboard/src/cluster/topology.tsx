import { useQuery } from '@tanstack/react-query';
import type { ClusterView } from '@groundplane/protocol/api/views';
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { infrastructureQuery } from '../api/queries-cloud.ts';
import { environmentTopology, siteTopology, type Member, type PoolBranch, type Topology, type ZoneBranch } from '../model/topology.ts';
import { ToneMark } from '../parts/icon.tsx';
import { Answer, Card } from '../parts/page.tsx';
import { Badge, Name } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';

/**
 * Boxes in boxes: what contains what is the whole structure here, so that lists with style sheets draw it, screen readers read it as it is, and no graph library
 * has to lay out edges that all say "is in".
 */
const Cell = ({ member }: { member: Member }): ReactElement => {
  const { project } = useScope();
  const inside = (
    <>
      <ToneMark tone={member.tone} />
      <Name text={member.name} />
      <span className="quiet">{member.state}</span>
    </>
  );
  return <li className="topology-cell">{member.host === undefined ? <span>{inside}</span> : <Link href={paths.host(project, member.host)}>{inside}</Link>}</li>;
};

const Pool = ({ pool }: { pool: PoolBranch }): ReactElement => (
  <li className="topology-pool">
    <p className="row">
      <Name text={pool.name} />
      <span className="quiet">
        {pool.role}
        {pool.role === '' ? '' : ', '}
        {pool.total}
      </span>
      {pool.tallies.map((item) => (
        <Badge key={item.state} tone={item.tone} text={`${item.count} ${item.state}`} />
      ))}
    </p>
    {pool.members.length > 0 && (
      <ul className="topology-cells" aria-label={`Members of ${pool.name}`}>
        {pool.members.map((member) => (
          <Cell key={member.name} member={member} />
        ))}
      </ul>
    )}
    {pool.folded > 0 && pool.members.length > 0 && <p className="quiet">{pool.folded} more are only counted.</p>}
  </li>
);

const Zone = ({ zone }: { zone: ZoneBranch }): ReactElement => (
  <li className={zone.name === '' ? undefined : 'topology-zone'}>
    {zone.name !== '' && (
      <p>
        <span className="quiet">Zone</span> <Name text={zone.name} />
      </p>
    )}
    <ul className="topology-list" aria-label={zone.name === '' ? 'Pools' : `Pools in ${zone.name}`}>
      {zone.pools.map((pool) => (
        <Pool key={pool.name} pool={pool} />
      ))}
    </ul>
  </li>
);

const Picture = ({ topology }: { topology: Topology }): ReactElement => (
  <Card title="Topology">
    <div className="topology">
      <p className="row">
        <strong>{topology.environment}</strong>
        {topology.place !== undefined && <Name text={topology.place} />}
        {topology.facts.map(([term, text]) => (
          <span key={term}>
            <span className="quiet">{term}</span> <bdi>{text}</bdi>
          </span>
        ))}
      </p>
      {topology.zones.length === 0 ? (
        <p className="quiet">Nothing is there yet.</p>
      ) : (
        <ul className="topology-zones" aria-label="Zones and pools">
          {topology.zones.map((zone) => (
            <Zone key={zone.name} zone={zone} />
          ))}
        </ul>
      )}
    </div>
  </Card>
);

const OfEnvironment = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const { project } = useScope();
  const infrastructure = useQuery(infrastructureQuery(project, cluster.name));
  return (
    <Answer of={infrastructure} what="the topology">
      {(view) => <Picture topology={environmentTopology(view, cluster)} />}
    </Answer>
  );
};

/** What a cluster consists of, as a picture. */
const ClusterTopology = ({ cluster }: { cluster: ClusterView }): ReactElement | null => {
  if (cluster.spec.infrastructure !== undefined) return <OfEnvironment cluster={cluster} />;
  return cluster.hosts.length === 0 ? null : <Picture topology={siteTopology(cluster)} />;
};

export default ClusterTopology;
