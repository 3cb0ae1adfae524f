import { useState, type ReactElement } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { HostView } from '@groundplane/protocol/api/views';
import { ask } from '../api/client.ts';
import { hostQuery, keys } from '../api/queries.ts';
import { approvalOf, whyNotApprove, type Place } from '../model/approval.ts';
import { showControls } from '../model/names.ts';
import { Button } from '../parts/button.tsx';
import { Answer, useTitle } from '../parts/page.tsx';
import { PhoneFrame } from '../parts/phone-frame.tsx';
import { PlaceChoice, Suspicion } from '../parts/place-choice.tsx';
import { Problem } from '../parts/problem.tsx';
import { Labels, Name, Presence, Simulated } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';

/** There is no live stream on this page; a phone in a cellar asks now and then, as long as somebody looks. */
const askAgainMs = 5_000;

const Done = ({ host }: { host: HostView }): ReactElement => {
  const { project } = useScope();
  return (
    <div className="stack" role="status">
      <p className="phone-done">
        <Name text={host.name} /> is approved.
      </p>
      <p>It fetches what it should be by itself; you can leave the machine.</p>
      <Link href={paths.host(project, host.name)} className="button">
        Show the host
      </Link>
    </div>
  );
};

const Differ = ({ back }: { back: () => void }): ReactElement => (
  <div className="stack" role="alert">
    <p>
      <strong>Do not let it in.</strong> Somebody may be trying to pass off another device, or this is the page of another machine. Look for these words
      elsewhere in the lobby; if they stand nowhere, tell whoever runs the hub.
    </p>
    <Button onClick={back}>Compare again</Button>
  </div>
);

const Words = ({ text }: { text: string }): ReactElement => (
  <p className="phone-words" role="group" aria-label={`Four words: ${text}`}>
    {text.split(' ').map((word, index) => (
      <span key={`${index}${word}`}>{word}</span>
    ))}
  </p>
);

const Compare = ({ host, approved }: { host: HostView; approved: (host: HostView) => void }): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [place, setPlace] = useState<Place | undefined>(undefined);
  const [isDifferent, setIsDifferent] = useState(false);
  const approve = useMutation({
    mutationFn: () => ask('approveHost', { params: { project, name: host.name }, body: approvalOf(host, place) }),
    onSuccess: async (answer) => {
      approved(answer);
      await Promise.all([client.invalidateQueries({ queryKey: keys.lobby(project) }), client.invalidateQueries({ queryKey: keys.hosts(project) })]);
    },
  });
  const places = new Map(place === undefined ? [] : [[host.name, place] as const]);
  const why =
    whyNot('host.approve') ?? whyNotApprove([host.name], new Map([[host.name, host]]), places) ?? (approve.isPending ? 'It is on its way.' : undefined);
  if (isDifferent) return <Differ back={() => setIsDifferent(false)} />;
  return (
    <div className="stack">
      <p>Do these words stand on the machine before you?</p>
      <Words text={host.words} />
      {host.suspected !== undefined && <Suspicion message={host.suspected.message} />}
      {host.replaces !== undefined && <PlaceChoice name={host.name} replaces={host.replaces} chosen={place} choose={setPlace} />}
      {approve.error !== null && <Problem failure={approve.error} />}
      <Button kind="primary" onClick={() => approve.mutate()} why={why}>
        The words match: approve
      </Button>
      {/* Nothing hovers on a phone, so the reason stands there. */}
      {why !== undefined && <p className="quiet">{why}</p>}
      <Button onClick={() => setIsDifferent(true)}>They differ</Button>
      <dl className="phone-facts">
        {host.serial !== undefined && (
          <div>
            <dt>Serial</dt>
            <dd>
              <bdi>{showControls(host.serial)}</bdi>
            </dd>
          </div>
        )}
        {host.info !== undefined && (
          <div>
            <dt>System</dt>
            <dd>
              <bdi>{`${host.info.os}, ${host.info.arch}`}</bdi>
            </dd>
          </div>
        )}
        <div>
          <dt>Labels</dt>
          <dd>
            <Labels labels={host.labels} />
          </dd>
        </div>
      </dl>
    </div>
  );
};

/** One waiting host on a phone, for the person who stands before the machine. */
const ApprovePhone = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  const [done, setDone] = useState<HostView | undefined>(undefined);
  // A host that took the place of another is not there under its own name any more.
  const host = useQuery({ ...hostQuery(project, name), enabled: done === undefined, refetchInterval: askAgainMs });
  useTitle(`Approve ${showControls(name)}`);
  return (
    <PhoneFrame title={<Name text={name} />}>
      {done !== undefined ? (
        <Done host={done} />
      ) : (
        <Answer of={host} what="the host">
          {(data) => (
            <>
              <p className="row">
                <Presence online={data.online} lastSeenMs={data.lastSeenMs} />
                <Simulated when={data.simulated} />
              </p>
              {data.state === 'lobby' ? <Compare host={data} approved={setDone} /> : <Done host={data} />}
            </>
          )}
        </Answer>
      )}
      <p>
        <Link href={paths.lobby(project)}>All that wait in {showControls(project)}</Link>
      </p>
    </PhoneFrame>
  );
};

export default ApprovePhone;
