import { useState, type ReactElement } from 'react';
import { useMutation, useQueries, useQueryClient } from '@tanstack/react-query';
import type { HostView } from '@groundplane/protocol/api/views';
import { ask, type ApiError } from '../api/client.ts';
import { hostQuery, keys } from '../api/queries.ts';
import { approvalOf, whyNotApprove, type Place } from '../model/approval.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Icon } from '../parts/icon.tsx';
import { notify } from '../parts/notice.tsx';
import { PlaceChoice, Suspicion } from '../parts/place-choice.tsx';
import { Problem } from '../parts/problem.tsx';
import { Name, Simulated } from '../parts/text.tsx';
import { useScope } from '../scope.ts';

interface Failed {
  name: string;
  failure: ApiError;
}

/** What a person has to decide or to know about a host, beside its words. */
const Doubts = ({ host, place, choose }: { host: HostView | undefined; place: Place | undefined; choose: (place: Place) => void }): ReactElement | null =>
  host?.replaces === undefined && host?.suspected === undefined ? null : (
    <div className="doubts">
      {host.suspected !== undefined && <Suspicion message={host.suspected.message} />}
      {host.replaces !== undefined && <PlaceChoice name={host.name} replaces={host.replaces} chosen={place} choose={choose} />}
    </div>
  );

/**
 * Shows the words once more and lets the hosts in. The words go along with each approval, so the hub refuses when a host changed its key between
 * reading and pressing.
 */
export const ApproveDialog = ({ names, onClose }: { names: readonly string[]; onClose: () => void }): ReactElement => {
  const { project } = useScope();
  const client = useQueryClient();
  // The dialog keeps the hosts that it was opened for: approved ones leave the lobby while it is open.
  const [hosts] = useState(names);
  const [failed, setFailed] = useState<readonly Failed[]>([]);
  const [done, setDone] = useState<ReadonlySet<string>>(new Set());
  const views = useQueries({ queries: hosts.map((name) => hostQuery(project, name)) });
  const [places, setPlaces] = useState<ReadonlyMap<string, Place>>(new Map());
  const read = new Map(views.flatMap(({ data }) => (data === undefined ? [] : [[data.name, data] as const])));
  const approve = useMutation({
    mutationFn: async () => {
      const problems: Failed[] = [];
      for (const name of hosts.filter((each) => !done.has(each))) {
        const host = read.get(name);
        if (host === undefined) continue;
        try {
          await ask('approveHost', { params: { project, name }, body: approvalOf(host, places.get(name)) });
          setDone((held) => new Set([...held, name]));
        } catch (error) {
          problems.push({ name, failure: error as ApiError });
        }
      }
      return problems;
    },
    onSuccess: async (problems) => {
      setFailed(problems);
      const count = hosts.length - problems.length;
      if (count > 0) notify(count === 1 ? '1 host is approved' : `${count} hosts are approved`);
      await Promise.all([client.invalidateQueries({ queryKey: keys.lobby(project) }), client.invalidateQueries({ queryKey: keys.hosts(project) })]);
      if (problems.length === 0) onClose();
    },
  });
  const open = hosts.filter((name) => !done.has(name));
  return (
    <Dialog
      open
      onClose={onClose}
      title={hosts.length === 1 ? 'Approve host' : `Approve ${hosts.length} hosts`}
      about={<p>Do these words stand on the console of each machine? Then they are who they say.</p>}
    >
      <ul className="approve-list" tabIndex={0} aria-label="Hosts and their words">
        {hosts.map((name) => (
          <li key={name}>
            <span className="row">
              <Name text={name} />
              <Simulated when={read.get(name)?.simulated} />
            </span>
            <span className="words">{read.get(name)?.words ?? '…'}</span>
            {done.has(name) && <Icon name="check" />}
            {!done.has(name) && <Doubts host={read.get(name)} place={places.get(name)} choose={(place) => setPlaces(new Map([...places, [name, place]]))} />}
          </li>
        ))}
      </ul>
      {failed.map(({ name, failure }) => (
        <Problem key={name} failure={failure} />
      ))}
      <div className="row end">
        <Button onClick={onClose}>Cancel</Button>
        <Button
          kind="primary"
          onClick={() => approve.mutate()}
          why={whyNotApprove(open, read, places) ?? (approve.isPending ? 'It is on its way.' : undefined)}
        >
          The words match: approve
        </Button>
      </div>
    </Dialog>
  );
};
