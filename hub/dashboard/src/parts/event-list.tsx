import type { ReactElement } from 'react';
import { Link } from 'wouter';
import type { EventView } from '@groundplane/protocol/api/views';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { ToneMark } from './icon.tsx';
import { Age, Name } from './text.tsx';

/** What an event is about, as links. */
export const EventSubject = ({ event, without }: { event: EventView; without?: 'cluster' | 'host' | undefined }): ReactElement => {
  const { project } = useScope();
  const cluster = without === 'cluster' ? undefined : event.cluster;
  const host = without === 'host' ? undefined : event.host;
  return (
    <span className="event-about">
      {cluster !== undefined && (
        <Link href={paths.cluster(project, cluster)}>
          <Name text={cluster} />
        </Link>
      )}
      {host !== undefined && (
        <Link href={paths.host(project, host)}>
          <Name text={host} />
        </Link>
      )}
      {event.layer !== undefined && (
        <span className="quiet" title="Layer">
          <Name text={event.layer} />
        </span>
      )}
    </span>
  );
};

/** A short list of events, newest first. The hub sends them oldest first. */
export const EventList = ({
  events,
  of,
}: {
  events: readonly EventView[];
  /** What the page is about, which its events need not name again. */ of?: 'cluster' | 'host';
}): ReactElement => {
  if (events.length === 0) return <p className="quiet">Nothing has happened yet.</p>;
  return (
    <ol className="event-list">
      {events.toReversed().map((event) => (
        <li key={event.seq}>
          <ToneMark tone={event.type === 'warning' ? 'warn' : 'good'} />
          <div>
            <p>
              <strong>
                <bdi>{event.reason}</bdi>
              </strong>{' '}
              <EventSubject event={event} without={of} />
            </p>
            <p className="quiet clip" title={event.message}>
              <bdi>{event.message}</bdi>
            </p>
          </div>
          <span className="quiet nowrap">
            <Age atMs={event.atMs} />
          </span>
        </li>
      ))}
    </ol>
  );
};
