import { useMemo, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { clusterStates } from '@groundplane/protocol/cluster-state';
import type { ClusterSummaryView } from '@groundplane/protocol/api/views';
import { clustersQuery } from '../api/queries.ts';
import { filterRows } from '../model/filter.ts';
import { clusterSubject } from '../model/subjects.ts';
import { clusterTone } from '../model/tone.ts';
import { LinkButton } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { Icon } from '../parts/icon.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Table, type Column } from '../parts/table.tsx';
import { Age, Badge, Name, Simulated } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate, useUrlState } from '../url-state.ts';

const columnsOf = (project: string): Column<ClusterSummaryView>[] => [
  {
    key: 'name',
    title: 'Name',
    width: 'minmax(190px, 2fr)',
    cell: (row) => (
      <>
        <Link href={paths.cluster(project, row.name)} className="row-link">
          <Name text={row.name} />
        </Link>
        <Simulated when={row.simulated} />
      </>
    ),
  },
  { key: 'state', title: 'State', width: '120px', cell: (row) => <Badge tone={clusterTone[row.state]} text={row.state} title={clusterStates[row.state]} /> },
  {
    key: 'message',
    title: 'Message',
    width: 'minmax(160px, 3fr)',
    cell: (row) => (
      <span className="quiet clip" title={row.message}>
        <bdi>{row.message}</bdi>
      </span>
    ),
  },
  {
    key: 'profiles',
    title: 'Profiles',
    width: 'minmax(150px, 2fr)',
    cell: (row) => <Name text={row.profiles.map(({ name, version }) => `${name} ${version}`).join(', ')} />,
  },
  { key: 'layers', title: 'Layers', width: '70px', isNumber: true, cell: (row) => `${row.layersReady}/${row.layersTotal}` },
  { key: 'hosts', title: 'Online', width: '70px', isNumber: true, cell: (row) => `${row.online}/${row.hosts}` },
  { key: 'drift', title: 'Drift', width: '60px', isNumber: true, cell: (row) => (row.drifted > 0 ? row.drifted : <span className="quiet">0</span>) },
  { key: 'changed', title: 'Changed', width: '100px', cell: (row) => <Age atMs={row.updatedAtMs} /> },
];

export const Clusters = (): ReactElement => {
  const { project, whyNot } = useScope();
  const clusters = useQuery(clustersQuery(project));
  const [text] = useUrlState('q');
  const all = useMemo(() => clusters.data?.items ?? [], [clusters.data]);
  const rows = useMemo(() => filterRows(all, text, clusterSubject), [all, text]);
  const columns = useMemo(() => columnsOf(project), [project]);
  const create = (
    <LinkButton href={paths.clusterCreate(project)} kind="primary" why={whyNot('cluster.apply')}>
      <Icon name="plus" />
      Create cluster
    </LinkButton>
  );
  return (
    <Page
      title="Clusters"
      tab="Clusters"
      fill
      actions={
        <>
          <CopyMenu cli={`gp get clusters --project ${project}`} yaml={() => rows} />
          {create}
        </>
      }
    >
      <Answer of={clusters} what="clusters">
        {(data) =>
          data.items.length === 0 ? (
            <Empty title="No cluster yet">
              <p>A cluster is one or more profiles on one or more hosts. You need a released profile and an approved host first.</p>
              <div className="row">{create}</div>
            </Empty>
          ) : (
            <>
              <FilterBox
                label="Filter clusters"
                hint="name, state:failed, profile:edge-base, is:drifted, ring=canary"
                shown={rows.length}
                total={all.length}
                isPartial={!data.complete}
              />
              <Table label="Clusters" rows={rows} columns={columns} rowKey={(row) => row.id} open={(row) => navigate(paths.cluster(project, row.name))} />
            </>
          )
        }
      </Answer>
    </Page>
  );
};
