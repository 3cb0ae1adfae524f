import { useState, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { HostSummaryView } from '@groundplane/protocol/api/views';
import { hostQuery, lobbyQuery } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Suspicion } from '../parts/place-choice.tsx';
import { Age, Labels, Name, Presence, Simulated, Tag } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';
import { ApproveDialog } from './approve.tsx';
import { Tickets } from './tickets.tsx';

/** Hosts on one page of the lobby: each asks for its words, and nobody compares more than these at a time. */
const shownMax = 50;

const Waiting = ({
  host,
  isChosen,
  choose,
  approve,
}: {
  host: HostSummaryView;
  isChosen: boolean;
  choose: (is: boolean) => void;
  approve: () => void;
}): ReactElement => {
  const { project, whyNot } = useScope();
  const full = useQuery(hostQuery(project, host.name));
  return (
    <li className={isChosen ? 'waiting chosen' : 'waiting'}>
      <input type="checkbox" checked={isChosen} onChange={(event) => choose(event.target.checked)} aria-label={`Choose ${host.name.slice(0, 80)}`} />
      <div className="waiting-who">
        <p>
          <Link href={paths.host(project, host.name)}>
            <Name text={host.name} />
          </Link>{' '}
          <Simulated when={host.simulated} />
        </p>
        <p className="quiet">
          {full.data?.info !== undefined && <bdi>{`${full.data.info.os}, ${full.data.info.arch}, ${full.data.info.cpus} CPUs. `}</bdi>}
          {full.data?.serial !== undefined && <bdi>Serial {full.data.serial}. </bdi>}
          Knocked <Age atMs={full.data?.createdAtMs ?? host.lastSeenMs} />. <Link href={paths.approve(project, host.name)}>Page for a phone</Link>
        </p>
        {full.data?.replaces !== undefined && (
          <p>
            <Tag title="It says the serial number of an approved host">replacement</Tag> It can take the place of{' '}
            <Link href={paths.host(project, full.data.replaces)}>
              <Name text={full.data.replaces} />
            </Link>
            .
          </p>
        )}
        {full.data?.suspected !== undefined && <Suspicion message={full.data.suspected.message} />}
        <Labels labels={host.labels} />
      </div>
      <p className="words" aria-label="Four words">
        {full.data?.words ?? '…'}
      </p>
      <Presence online={host.online} lastSeenMs={host.lastSeenMs} />
      <Button onClick={approve} kind="primary" why={whyNot('host.approve')}>
        Approve
      </Button>
    </li>
  );
};

const WaitingList = ({ hosts }: { hosts: readonly HostSummaryView[] }): ReactElement => {
  const { whyNot } = useScope();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [approving, setApproving] = useState<readonly string[]>([]);
  const shown = hosts.slice(0, shownMax);
  const names = shown.map((host) => host.name).filter((name) => chosen.has(name));
  const choose = (name: string, is: boolean): void => setChosen((held) => new Set(is ? [...held, name] : [...held].filter((each) => each !== name)));
  const isAll = names.length === shown.length;
  return (
    <>
      <div className="bulk">
        <label className="check">
          <input type="checkbox" checked={isAll} onChange={() => setChosen(isAll ? new Set() : new Set(shown.map((host) => host.name)))} />
          <span>Choose all {shown.length}</span>
        </label>
        <span className="quiet" role="status">
          {names.length} chosen{hosts.length > shown.length && `; the first ${shown.length} of ${hosts.length} are shown`}
        </span>
        <Button onClick={() => setApproving(names)} kind="primary" why={whyNot('host.approve') ?? (names.length === 0 ? 'Choose hosts first.' : undefined)}>
          Approve chosen
        </Button>
      </div>
      <ul className="lobby">
        {shown.map((host) => (
          <Waiting
            key={host.id}
            host={host}
            isChosen={chosen.has(host.name)}
            choose={(is) => choose(host.name, is)}
            approve={() => setApproving([host.name])}
          />
        ))}
      </ul>
      {approving.length > 0 && <ApproveDialog names={approving} onClose={() => setApproving([])} />}
    </>
  );
};

const Hosts = (): ReactElement => {
  const { project } = useScope();
  const lobby = useQuery(lobbyQuery(project));
  return (
    <Answer of={lobby} what="the lobby">
      {(data) =>
        data.items.length === 0 ? (
          <Empty title="Nobody waits">
            <p>
              A host appears here when its agent starts with a ticket. <Link href={paths.tickets(project)}>Create a ticket</Link> and give its text to the
              agent.
            </p>
          </Empty>
        ) : (
          <WaitingList hosts={data.items} />
        )
      }
    </Answer>
  ) as ReactElement;
};

export const Lobby = (): ReactElement => {
  const { project } = useScope();
  const [tab, setTab] = useUrlState('tab', 'hosts');
  const isTickets = tab === 'tickets';
  return (
    <Page
      title="Lobby"
      tab="Lobby"
      note="Compare the four words with the ones on the machine's console: they name its key, and nobody can choose theirs."
      actions={<CopyMenu cli={`gp get ${isTickets ? 'tickets' : 'hosts --state lobby'} --project ${project}`} />}
    >
      <div className="tabs" role="group" aria-label="Part of the lobby">
        <Button kind="quiet" pressed={!isTickets} onClick={() => setTab('hosts')}>
          Waiting hosts
        </Button>
        <Button kind="quiet" pressed={isTickets} onClick={() => setTab('tickets')}>
          Tickets
        </Button>
      </div>
      {isTickets ? <Tickets /> : <Hosts />}
    </Page>
  );
};
