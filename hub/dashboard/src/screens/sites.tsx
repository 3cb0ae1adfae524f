import { useMemo, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { SiteSummaryView } from '@groundplane/protocol/api/site-routes';
import { clusterStates } from '@groundplane/protocol/cluster-state';
import { sitesQuery } from '../api/queries-places.ts';
import { filterRows } from '../model/filter.ts';
import { siteSubject } from '../model/subjects.ts';
import { clusterTone } from '../model/tone.ts';
import { CopyMenu } from '../parts/copy.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Table, type Column } from '../parts/table.tsx';
import { Age, Badge, Name, Simulated } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate, useUrlState } from '../url-state.ts';

export const SiteClusters = ({ site }: { site: SiteSummaryView }): ReactElement => {
  const { project } = useScope();
  if (site.clusters.length === 0) return <span className="quiet">none</span>;
  return (
    <span className="row">
      {site.clusters.map((cluster) => (
        <span key={cluster.name} className="row">
          <Link href={paths.cluster(project, cluster.name)}>
            <Name text={cluster.name} />
          </Link>
          <Badge tone={clusterTone[cluster.state]} text={cluster.state} title={clusterStates[cluster.state]} />
        </span>
      ))}
    </span>
  );
};

export const SitePresence = ({ site }: { site: SiteSummaryView }): ReactElement => {
  const away = site.hosts - site.online;
  if (site.hosts === 0) return <Badge tone="idle" text="nobody let in" />;
  if (away === 0) return <Badge tone="good" text="all online" />;
  return <Badge tone={site.online === 0 ? 'off' : 'warn'} text={site.online === 0 ? 'offline' : `${away} of ${site.hosts} offline`} />;
};

const columnsOf = (project: string): Column<SiteSummaryView>[] => [
  {
    key: 'name',
    title: 'Site',
    width: 'minmax(170px, 2fr)',
    cell: (row) => (
      <>
        <Link href={paths.site(project, row.name)} className="row-link">
          <Name text={row.name} />
        </Link>
        <Simulated when={row.simulated} />
      </>
    ),
  },
  { key: 'presence', title: 'Presence', width: '160px', cell: (row) => <SitePresence site={row} /> },
  { key: 'hosts', title: 'Hosts', width: '70px', isNumber: true, cell: (row) => row.hosts },
  {
    key: 'lobby',
    title: 'Lobby',
    width: '70px',
    isNumber: true,
    cell: (row) => (row.lobby === 0 ? <span className="quiet">0</span> : <Link href={paths.lobby(project)}>{row.lobby}</Link>),
  },
  { key: 'clusters', title: 'Clusters', width: 'minmax(180px, 2fr)', cell: (row) => <SiteClusters site={row} /> },
  {
    key: 'seen',
    title: 'Offline, seen',
    width: '110px',
    cell: (row) => (row.offlineSinceMs === undefined ? <span className="quiet">–</span> : <Age atMs={row.offlineSinceMs} />),
  },
  {
    key: 'sharing',
    title: 'Share content',
    width: '110px',
    isNumber: true,
    cell: (row) => (
      <span title="Hosts that give large content to their neighbours">
        {row.sharing} of {row.hosts}
      </span>
    ),
  },
  {
    key: 'medium',
    title: 'Last medium',
    width: '100px',
    cell: (row) => (row.carriedMs === undefined ? <span className="quiet">none</span> : <Age atMs={row.carriedMs} />),
  },
];

const Elsewhere = ({ count }: { count: number }): ReactElement | null => {
  const { project } = useScope();
  if (count === 0) return null;
  return (
    <p className="quiet">
      {count} {count === 1 ? 'host is' : 'hosts are'} at no site: without the label <code>site</code> and in no cluster. See the{' '}
      <Link href={paths.hosts(project)}>hosts</Link>.
    </p>
  );
};

/** Places: hosts with the same `site` label, or else those of one cluster. */
const Sites = (): ReactElement => {
  const { project } = useScope();
  const sites = useQuery(sitesQuery(project));
  const [text] = useUrlState('q');
  const all = useMemo(() => sites.data?.items ?? [], [sites.data]);
  const rows = useMemo(() => filterRows(all, text, siteSubject), [all, text]);
  const columns = useMemo(() => columnsOf(project), [project]);
  return (
    <Page title="Sites" tab="Sites" fill actions={<CopyMenu cli={`gp get sites --project ${project}`} yaml={() => rows} />}>
      <Answer of={sites} what="sites">
        {(data) =>
          data.items.length === 0 ? (
            <Empty title="No site yet">
              <p>
                Hosts with the same label <code>site</code> are a site, and so are the hosts of a cluster. A ticket gives its hosts their labels.
              </p>
              <Elsewhere count={data.elsewhere} />
            </Empty>
          ) : (
            <>
              <FilterBox label="Filter sites" hint="name, is:offline, cluster:store-1" shown={rows.length} total={all.length} isPartial={!data.complete} />
              <Table label="Sites" rows={rows} columns={columns} rowKey={(row) => row.name} open={(row) => navigate(paths.site(project, row.name))} />
              <Elsewhere count={data.elsewhere} />
            </>
          )
        }
      </Answer>
    </Page>
  );
};
export default Sites;
