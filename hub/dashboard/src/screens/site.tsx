import { useMemo, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { applierWords, hostPhases } from '@groundplane/protocol/observed';
import type { SiteHostView, SiteView } from '@groundplane/protocol/api/site-routes';
import { siteQuery } from '../api/queries-places.ts';
import { phaseTone } from '../model/tone.ts';
import { CopyMenu } from '../parts/copy.tsx';
import { Answer, Page } from '../parts/page.tsx';
import { Table, type Column } from '../parts/table.tsx';
import { Age, Badge, Facts, Name, Presence, Simulated } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate } from '../url-state.ts';
import { SiteClusters, SitePresence } from './sites.tsx';

const Role = ({ host }: { host: SiteHostView }): ReactElement => {
  if (host.applier !== undefined) return <span title={host.why}>{applierWords[host.applier]}</span>;
  if (host.kubernetes === undefined) return <span className="quiet">–</span>;
  return (
    <span>
      {host.kubernetes.role}
      {host.kubernetes.node !== 'joined' && <span className="quiet">, {host.kubernetes.node === 'waiting' ? 'waits to join' : 'not joined'}</span>}
      {host.kubernetes.keeper && ' '}
      {host.kubernetes.keeper && (
        <span className="tag" title="It looks after the whole cluster">
          keeper
        </span>
      )}
    </span>
  );
};

const Shares = ({ host }: { host: SiteHostView }): ReactElement =>
  host.shares === undefined ? (
    <span className="quiet">no</span>
  ) : (
    <span className="clip" title={`${host.shares.addresses.join(', ')}, port ${host.shares.port}`}>
      <bdi>
        {host.shares.addresses[0]}, port {host.shares.port}
      </bdi>
    </span>
  );

const Standing = ({ host }: { host: SiteHostView }): ReactElement => {
  const { project } = useScope();
  if (host.state === 'lobby')
    return (
      <Link href={paths.approve(project, host.name)}>
        <Badge tone="idle" text="in the lobby" />
      </Link>
    );
  return <Presence online={host.online} lastSeenMs={host.lastSeenMs} />;
};

const columnsOf = (project: string): Column<SiteHostView>[] => [
  {
    key: 'name',
    title: 'Host',
    width: 'minmax(170px, 2fr)',
    cell: (row) => (
      <>
        <Link href={paths.host(project, row.name)} className="row-link">
          <Name text={row.name} />
        </Link>
        <Simulated when={row.simulated} />
      </>
    ),
  },
  { key: 'presence', title: 'Presence', width: '190px', cell: (row) => <Standing host={row} /> },
  {
    key: 'phase',
    title: 'Phase',
    width: '130px',
    cell: (row) =>
      row.phase === undefined ? (
        <span className="quiet">no report</span>
      ) : (
        <Badge tone={row.online ? phaseTone[row.phase] : 'off'} text={row.phase} title={hostPhases[row.phase]} />
      ),
  },
  { key: 'role', title: 'Role', width: 'minmax(150px, 1fr)', cell: (row) => <Role host={row} /> },
  { key: 'shares', title: 'Shares content at', width: 'minmax(150px, 1fr)', cell: (row) => <Shares host={row} /> },
  {
    key: 'medium',
    title: 'Last medium',
    width: '110px',
    cell: (row) => (row.carried === undefined ? <span className="quiet">none</span> : <Age atMs={row.carried.receivedAtMs} />),
  },
];

/** Whoever is away first, then who waits, then the rest: that is what one comes to see. */
const inOrder = (members: readonly SiteHostView[]): SiteHostView[] => {
  const rank = (host: SiteHostView): number => (host.state === 'lobby' ? 1 : host.online ? 2 : 0);
  return members.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
};

const About = ({ site }: { site: SiteView }): ReactElement => {
  const keepers = site.members.filter((host) => host.kubernetes?.keeper === true || host.applier === 'holds');
  const { project } = useScope();
  return (
    <Facts
      rows={[
        ['Clusters', <SiteClusters key="c" site={site} />],
        [
          'Keeper',
          keepers.length === 0 ? (
            <span className="quiet">none is connected</span>
          ) : (
            keepers.map((host) => (
              <Link key={host.id} href={paths.host(project, host.name)}>
                <Name text={host.name} />{' '}
              </Link>
            ))
          ),
        ],
        ['Content', `${site.sharing} of ${site.hosts} hosts give large content to their neighbours`],
        ['Medium', site.carriedMs === undefined ? <span className="quiet">no receipt came back</span> : <Age key="m" atMs={site.carriedMs} />],
      ]}
    />
  );
};

const Site = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  const site = useQuery(siteQuery(project, name));
  const rows = useMemo(() => inOrder(site.data?.members ?? []), [site.data]);
  const columns = useMemo(() => columnsOf(project), [project]);
  const note =
    site.data === undefined
      ? undefined
      : site.data.by === 'label'
        ? 'The hosts with this site label, or of a cluster with it.'
        : 'The hosts of this cluster; none of them has a site label.';
  return (
    <Page
      title={
        <>
          <Name text={name} />
          {site.data !== undefined && <SitePresence site={site.data} />}
        </>
      }
      tab={name}
      note={note}
      fill
      actions={<CopyMenu cli={`gp get sites ${name} --project ${project}`} yaml={() => site.data} />}
    >
      <Answer of={site} what="the site">
        {(found) => (
          <>
            <About site={found} />
            <Table label="Hosts of the site" rows={rows} columns={columns} rowKey={(row) => row.id} open={(row) => navigate(paths.host(project, row.name))} />
          </>
        )}
      </Answer>
    </Page>
  );
};
export default Site;
