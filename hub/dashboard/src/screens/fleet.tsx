import type { ReactElement, ReactNode } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { ClusterSummaryView, FleetView, HostSummaryView } from '@groundplane/protocol/api/views';
import { clustersQuery, eventsQuery, fleetQuery, hostsQuery } from '../api/queries.ts';
import { attention } from '../model/attention.ts';
import { hostTone } from '../model/heat.ts';
import { tones, type Tone } from '../model/tone.ts';
import { CopyMenu } from '../parts/copy.tsx';
import { EventList } from '../parts/event-list.tsx';
import { HeatMap } from '../parts/heat-map.tsx';
import { ToneMark } from '../parts/icon.tsx';
import { Answer, Card, Empty, Page } from '../parts/page.tsx';
import { Name, Simulated, Tag } from '../parts/text.tsx';
import { LinkButton } from '../parts/button.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { useNow } from '../time.ts';
import { useUrlState } from '../url-state.ts';

const Counter = ({
  title,
  value,
  of,
  note,
  href,
  tone,
}: {
  title: string;
  value: number;
  of?: number;
  note: ReactNode;
  href: string;
  tone?: Tone | undefined;
}): ReactElement => (
  <Link href={href} className="counter">
    <span className="counter-title">{title}</span>
    <span className={tone === undefined ? 'counter-value' : `counter-value text-${tone}`}>
      {value.toLocaleString('en')}
      {of !== undefined && <span className="counter-of"> / {of.toLocaleString('en')}</span>}
    </span>
    <span className="counter-note">{note}</span>
  </Link>
);

const Counters = ({ fleet }: { fleet: FleetView }): ReactElement => {
  const { project } = useScope();
  const count = (state: string): number => fleet.byState[state] ?? 0;
  const broken = count('failed') + count('unresolved');
  const stuck = count('degraded') + count('blocked');
  return (
    <div className="counters">
      <Counter
        title="Hosts online"
        value={fleet.online}
        of={fleet.hosts}
        href={paths.hosts(project)}
        note={fleet.simulated > 0 ? `${fleet.simulated.toLocaleString('en')} simulated` : 'all real machines'}
      />
      <Counter
        title="Clusters ready"
        value={count('ready')}
        of={fleet.clusters}
        href={paths.clusters(project)}
        note={`${count('applying')} applying a change`}
      />
      <Counter
        title="Failed"
        value={broken}
        href={paths.clusters(project, 'state:failed')}
        note={`${stuck} degraded or blocked`}
        tone={broken > 0 ? 'bad' : undefined}
      />
      <Counter
        title="Drift healed"
        value={fleet.drifted}
        href={paths.clusters(project, 'is:drifted')}
        note="put back by the agents"
        tone={fleet.drifted > 0 ? 'warn' : undefined}
      />
      <Counter
        title="In the lobby"
        value={fleet.lobby}
        href={paths.lobby(project)}
        note={fleet.lobby > 0 ? 'wait for approval' : 'nobody waits'}
        tone={fleet.lobby > 0 ? 'busy' : undefined}
      />
    </div>
  );
};

const AttentionList = ({
  clusters,
  hosts,
  lobby,
}: {
  clusters: readonly ClusterSummaryView[];
  hosts: readonly HostSummaryView[];
  lobby: number;
}): ReactElement => {
  const { project } = useScope();
  const { items, more } = attention(project, clusters, hosts, lobby, useNow());
  if (items.length === 0) return <p className="calm">Nothing needs you. Every cluster is as desired or on its way there.</p>;
  return (
    <ul className="attention">
      {items.map((item) => (
        <li key={item.key}>
          <ToneMark tone={item.tone} />
          <div>
            <Link href={item.href}>
              {item.name !== undefined && (
                <>
                  <Name text={item.name} />{' '}
                </>
              )}
              {item.title}
            </Link>
            <Simulated when={item.simulated} />
            <p className="quiet clip">
              <bdi>{item.detail}</bdi>
            </p>
          </div>
          {item.hosts > 0 && <span className="quiet nowrap">{item.hosts === 1 ? '1 host' : `${item.hosts} hosts`}</span>}
        </li>
      ))}
      {more > 0 && (
        <li>
          <Link href={paths.clusters(project, '-state:ready')}>and {more} more</Link>
        </li>
      )}
    </ul>
  );
};

const toneTitle: Readonly<Record<Tone, readonly [string, string]>> = {
  good: ['converged', 'phase:converged is:online'],
  busy: ['applying', 'is:online is:late'],
  warn: ['degraded or blocked', 'phase:degraded'],
  bad: ['failed or rolled back', 'phase:rolled-back'],
  idle: ['idle', 'phase:idle'],
  off: ['offline', 'is:offline'],
};

const Legend = ({ hosts }: { hosts: readonly HostSummaryView[] }): ReactElement => {
  const { project } = useScope();
  const counts = Map.groupBy(hosts, hostTone);
  return (
    <div className="legend">
      {tones
        .filter((tone) => counts.has(tone))
        .map((tone) => (
          <Link key={tone} href={paths.hosts(project, toneTitle[tone][1])}>
            <span className={`swatch swatch-${tone}`} />
            {toneTitle[tone][0]} <span className="quiet">{(counts.get(tone)?.length ?? 0).toLocaleString('en')}</span>
          </Link>
        ))}
    </div>
  );
};

const labelKeysMax = 8;
/** With more clusters than this their names would take more room than their hosts. */
const clusterGroupsMax = 60;

const Heat = ({ hosts }: { hosts: readonly HostSummaryView[] }): ReactElement => {
  const { project } = useScope();
  const clusters = new Set(hosts.map((host) => host.cluster)).size;
  const [by, setBy] = useUrlState('group', clusters > clusterGroupsMax ? 'none' : 'cluster');
  const labelKeys = [...new Set(hosts.slice(0, 500).flatMap((host) => Object.keys(host.labels)))].toSorted().slice(0, labelKeysMax);
  const simulated = hosts.filter((host) => host.simulated).length;
  const actions = (
    <>
      {simulated > 0 && <Tag>{simulated === hosts.length ? 'all simulated' : `${simulated.toLocaleString('en')} simulated`}</Tag>}
      <label className="inline">
        Group by
        <select value={by} onChange={(event) => setBy(event.target.value)}>
          <option value="cluster">cluster</option>
          <option value="phase">phase</option>
          <option value="none">nothing</option>
          {labelKeys.map((key) => (
            <option key={key} value={key}>
              {key}
            </option>
          ))}
        </select>
      </label>
    </>
  );
  return (
    <Card title="Hosts" actions={actions}>
      <Legend hosts={hosts} />
      <HeatMap project={project} hosts={hosts} by={by} />
    </Card>
  );
};

const NothingYet = (): ReactElement => {
  const { project } = useScope();
  return (
    <Empty title="No host yet. Three steps to the first cluster:">
      <ol className="steps">
        <li>
          <Link href={paths.tickets(project)}>Create a ticket</Link> and give its text to the agent on a machine.
        </li>
        <li>
          The machine appears in the <Link href={paths.lobby(project)}>lobby</Link>. Compare its four words and approve it.
        </li>
        <li>
          <Link href={paths.profileCreate(project)}>Create a profile</Link>, then <Link href={paths.clusterCreate(project)}>a cluster</Link> of it with your
          host.
        </li>
      </ol>
      <p className="quiet">
        No machine at hand? A simulated fleet shows how it feels: <code>npm run sim</code>. Everything simulated says so.
      </p>
      <LinkButton href={paths.tickets(project)} kind="primary">
        Create a ticket
      </LinkButton>
    </Empty>
  );
};

export const Fleet = (): ReactElement => {
  const { project } = useScope();
  const fleet = useQuery(fleetQuery(project));
  const clusters = useQuery(clustersQuery(project));
  const hosts = useQuery(hostsQuery(project));
  const events = useQuery(eventsQuery(project, {}, 12));
  const hostList = hosts.data?.items ?? [];
  const isEmpty =
    hosts.data !== undefined && clusters.data !== undefined && hostList.length === 0 && clusters.data.items.length === 0 && (fleet.data?.lobby ?? 0) === 0;
  return (
    <Page title="Fleet" tab="Fleet" actions={<CopyMenu cli={`gp get hosts --project ${project}`} yaml={fleet.data && (() => fleet.data)} />}>
      <Answer of={fleet} what="the fleet">
        {(data) => <Counters fleet={data} />}
      </Answer>
      {isEmpty ? (
        <NothingYet />
      ) : (
        <div className="fleet-columns">
          <div className="stack">
            <Answer of={hosts} what="hosts">
              {(data) => <Heat hosts={data.items} />}
            </Answer>
          </div>
          <div className="stack">
            <Card title="Needs attention">
              <Answer of={clusters} what="clusters">
                {(data) => <AttentionList clusters={data.items} hosts={hostList} lobby={fleet.data?.lobby ?? 0} />}
              </Answer>
            </Card>
            <Card title="Latest events" actions={<Link href={paths.events(project)}>All events</Link>}>
              <Answer of={events} what="events">
                {(data) => <EventList events={data} />}
              </Answer>
            </Card>
          </div>
        </div>
      )}
    </Page>
  );
};
