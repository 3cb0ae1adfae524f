import type { ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { HostJournalView } from '@groundplane/protocol/api/site-routes';
import type { EventView, HostView } from '@groundplane/protocol/api/views';
import { eventsQuery } from '../api/queries.ts';
import { journalQuery } from '../api/queries-places.ts';
import { shows, timeline, type Moment, type Show } from '../model/timeline.ts';
import { Button } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { ToneMark } from '../parts/icon.tsx';
import { Answer, Card } from '../parts/page.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { Age, Name, Tag } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';

const eventsShown = 100;
const titles: Readonly<Record<Show, string>> = { all: 'All', steps: 'Steps', events: 'Events' };
const toneText = { step: { good: 'done', bad: 'failed', idle: 'begun' }, event: { good: 'normal', warn: 'warning' } } as const;

const MomentLine = ({ moment }: { moment: Moment }): ReactElement => {
  const words: Partial<Record<Moment['tone'], string>> = toneText[moment.kind];
  return (
    <li>
      <ToneMark tone={moment.tone} />
      <div>
        <p>
          {moment.kind === 'event' ? (
            <strong>
              <bdi>{moment.title}</bdi>
            </strong>
          ) : (
            <bdi>{moment.title}</bdi>
          )}
          <span className="unseen">{words[moment.tone]}</span>
          {moment.layer !== undefined && (
            <span className="quiet" title="Layer">
              <Name text={moment.layer} />
            </span>
          )}
          {moment.attempt > 1 && <Tag title="How often it was tried for this generation">try {moment.attempt}</Tag>}
        </p>
        {moment.text !== '' && (
          <p className="quiet clip" title={moment.text}>
            <bdi>{moment.text}</bdi>
          </p>
        )}
      </div>
      <span className="quiet nowrap">
        {moment.generation !== undefined && <span title="Generation">g{moment.generation} </span>}
        <Age atMs={moment.atMs} />
      </span>
    </li>
  );
};

/** Whose word the steps are, and how old it is. */
const Source = ({ journal }: { journal: HostJournalView }): ReactElement | null =>
  journal.state === 'live' ? null : (
    <p className="note" role="status">
      {journal.state === 'none' ? 'The steps of its journal are not known here' : 'The last known steps'}: the host{' '}
      <bdi>{journal.why?.message ?? 'told nothing'}</bdi>
      {journal.asOfMs !== undefined && (
        <>
          , they are as of <Age atMs={journal.asOfMs} />
        </>
      )}
      . Its events are below.
    </p>
  );

const Moments = ({ events, journal, show }: { events: readonly EventView[]; journal: HostJournalView | undefined; show: Show }): ReactElement => {
  const moments = timeline(events, journal?.steps ?? [], show);
  if (moments.length === 0) return <p className="quiet">Nothing has happened yet.</p>;
  return (
    <ol className="event-list" tabIndex={0} aria-label="Newest first">
      {moments.map((moment) => (
        <MomentLine key={moment.key} moment={moment} />
      ))}
    </ol>
  );
};

/** What the hub was told, and what the host's own journal says of how it came there, as one list. */
export const TimelineCard = ({ host }: { host: HostView }): ReactElement => {
  const { project } = useScope();
  const [chosen, choose] = useUrlState('show', 'all');
  const show = shows.find((each) => each === chosen) ?? 'all';
  const isBusy = host.phase === 'applying' || host.phase === 'staging';
  const events = useQuery(eventsQuery(project, { host: host.name }, eventsShown));
  const journal = useQuery(journalQuery(project, host.name, host.online, isBusy));
  const actions = (
    <>
      <CopyMenu cli={`gp get journal ${host.name} --project ${project}`} yaml={() => journal.data?.steps ?? []} />
      <Button onClick={() => void journal.refetch()} why={host.online ? undefined : 'The host is offline; its journal is read when it is back.'}>
        Read again
      </Button>
    </>
  );
  return (
    <Card title="Timeline" actions={actions}>
      <Tabs label="What the timeline shows" tabs={shows.map((key) => ({ key, text: titles[key] }))} chosen={show} choose={choose} />
      {journal.data !== undefined && show !== 'events' && <Source journal={journal.data} />}
      <Answer of={events} what="events">
        {(list) => <Moments events={list} journal={journal.data} show={show} />}
      </Answer>
    </Card>
  );
};
