import { useMemo, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { hostPhases } from '@groundplane/protocol/observed';
import type { HostSummaryView } from '@groundplane/protocol/api/views';
import { hostsQuery } from '../api/queries.ts';
import { filterRows } from '../model/filter.ts';
import { hostSubject } from '../model/subjects.ts';
import { phaseTone } from '../model/tone.ts';
import { LinkButton } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Table, type Column } from '../parts/table.tsx';
import { Badge, Labels, Name, Presence, Simulated } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate, useUrlState } from '../url-state.ts';

export const Generation = ({ host }: { host: Pick<HostSummaryView, 'generation' | 'reportedGeneration'> }): ReactElement =>
  host.reportedGeneration === host.generation ? (
    <span title="It reported the generation that it should be at">{host.generation}</span>
  ) : (
    <span title={`It should be at ${host.generation} and spoke last of ${host.reportedGeneration ?? 'none'}`}>
      {host.reportedGeneration ?? '–'} → {host.generation}
    </span>
  );

const columnsOf = (project: string): Column<HostSummaryView>[] => [
  {
    key: 'name',
    title: 'Name',
    width: 'minmax(190px, 2fr)',
    cell: (row) => (
      <>
        <Link href={paths.host(project, row.name)} className="row-link">
          <Name text={row.name} />
        </Link>
        <Simulated when={row.simulated} />
      </>
    ),
  },
  { key: 'presence', title: 'Presence', width: '190px', cell: (row) => <Presence online={row.online} lastSeenMs={row.lastSeenMs} /> },
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
  {
    key: 'cluster',
    title: 'Cluster',
    width: 'minmax(120px, 1fr)',
    cell: (row) =>
      row.cluster === undefined ? (
        <span className="quiet">none</span>
      ) : (
        <Link href={paths.cluster(project, row.cluster)}>
          <Name text={row.cluster} />
        </Link>
      ),
  },
  { key: 'generation', title: 'Generation', width: '100px', isNumber: true, cell: (row) => <Generation host={row} /> },
  { key: 'drift', title: 'Drift', width: '60px', isNumber: true, cell: (row) => (row.drifted > 0 ? row.drifted : <span className="quiet">0</span>) },
  { key: 'labels', title: 'Labels', width: 'minmax(120px, 2fr)', cell: (row) => <Labels labels={row.labels} /> },
];

export const Hosts = (): ReactElement => {
  const { project, whyNot } = useScope();
  const hosts = useQuery(hostsQuery(project));
  const [text] = useUrlState('q');
  const all = useMemo(() => hosts.data?.items ?? [], [hosts.data]);
  const rows = useMemo(() => filterRows(all, text, hostSubject), [all, text]);
  const columns = useMemo(() => columnsOf(project), [project]);
  const add = (
    <LinkButton href={paths.tickets(project)} why={whyNot('ticket.create')}>
      Add hosts with a ticket
    </LinkButton>
  );
  return (
    <Page
      title="Hosts"
      tab="Hosts"
      fill
      actions={
        <>
          <CopyMenu cli={`gp get hosts --project ${project}`} yaml={() => rows} />
          {add}
        </>
      }
    >
      <Answer of={hosts} what="hosts">
        {(data) =>
          data.items.length === 0 ? (
            <Empty title="No host yet">
              <p>
                A host comes in with a ticket and waits in the <Link href={paths.lobby(project)}>lobby</Link> until somebody approves it.
              </p>
              <div className="row">{add}</div>
            </Empty>
          ) : (
            <>
              <FilterBox
                label="Filter hosts"
                hint="name, is:offline, phase:failed, cluster:store-1, ring=canary"
                shown={rows.length}
                total={all.length}
                isPartial={!data.complete}
              />
              <Table label="Hosts" rows={rows} columns={columns} rowKey={(row) => row.id} open={(row) => navigate(paths.host(project, row.name))} />
            </>
          )
        }
      </Answer>
    </Page>
  );
};
