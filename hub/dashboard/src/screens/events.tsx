import { useMemo, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { EventView } from '@groundplane/protocol/api/views';
import { eventsQuery } from '../api/queries.ts';
import { filterRows } from '../model/filter.ts';
import { eventSubject } from '../model/subjects.ts';
import { CopyMenu } from '../parts/copy.tsx';
import { EventSubject } from '../parts/event-list.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Table, type Column } from '../parts/table.tsx';
import { Age, Badge, Name } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';

/** The hub gives this many at once; older ones are for the command line. */
const last = 500;

const columns: readonly Column<EventView>[] = [
  { key: 'at', title: 'When', width: '100px', cell: (row) => <Age atMs={row.atMs} /> },
  { key: 'type', title: 'Type', width: '110px', cell: (row) => <Badge tone={row.type === 'warning' ? 'warn' : 'good'} text={row.type} /> },
  { key: 'reason', title: 'Reason', width: 'minmax(130px, 1fr)', cell: (row) => <Name text={row.reason} /> },
  { key: 'about', title: 'About', width: 'minmax(150px, 2fr)', cell: (row) => <EventSubject event={row} /> },
  {
    key: 'message',
    title: 'Message',
    width: 'minmax(240px, 4fr)',
    cell: (row) => (
      <span className="clip" title={row.message}>
        <bdi>{row.message}</bdi>
      </span>
    ),
  },
  {
    key: 'actor',
    title: 'By',
    width: 'minmax(90px, 1fr)',
    cell: (row) => (row.actor === undefined ? <span className="quiet">agent</span> : <Name text={row.actor} />),
  },
];

export const Events = (): ReactElement => {
  const { project } = useScope();
  const events = useQuery(eventsQuery(project, {}, last));
  const [text] = useUrlState('q');
  const all = useMemo(() => (events.data ?? []).toReversed(), [events.data]);
  const rows = useMemo(() => filterRows(all, text, eventSubject), [all, text]);
  return (
    <Page title="Events" tab="Events" fill actions={<CopyMenu cli={`gp get events --project ${project}`} yaml={() => rows} />}>
      <Answer of={events} what="events">
        {(data) =>
          data.length === 0 ? (
            <Empty title="Nothing has happened yet" />
          ) : (
            <>
              <FilterBox label="Filter events" hint="words, type:warning, reason:RolledBack, host:till-7" shown={rows.length} total={all.length} />
              <Table label="Events, newest first" rows={rows} columns={columns} rowKey={(row) => String(row.seq)} />
            </>
          )
        }
      </Answer>
    </Page>
  );
};
