import { lazy, Suspense, useDeferredValue, useMemo, useState, type ReactElement, type SyntheticEvent } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { SerialList } from '@groundplane/protocol/serials';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { isName, nameRule } from '../model/names.ts';
import { Button } from '../parts/button.tsx';
import { CopyButton } from '../parts/copy.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Problem } from '../parts/problem.tsx';
import { useScope } from '../scope.ts';
import { readListed, SerialField, whyNotList } from './serial-field.tsx';

/** Not a part of the first load. */
const DeviceGuide = lazy(async () => ({ default: (await import('./device-guide.tsx')).DeviceGuide }));

interface Wanted {
  name: string;
  /** As typed; undefined: once for each listed device, or for one. */
  uses: string | undefined;
  hours: string;
  labels: string;
  autoApprove: boolean;
  /** List of serial numbers, as typed. */
  serials: string;
}

const usesMax = 100_000;
const hoursMax = 365 * 24;

/** `ring=canary site=hh` as a record, or undefined when a word is not key=value. */
const parseLabels = (text: string): Record<string, string> | undefined => {
  const pairs = text
    .trim()
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .map((word) => /^([^=]+)=(.*)$/.exec(word));
  if (pairs.includes(null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? '']));
};

const isBetween = (text: string, max: number): boolean => /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= max;

const usesOf = (wanted: Wanted, list: SerialList | undefined): string => wanted.uses ?? String(Math.max(1, list?.count ?? 1));

const reason = (wanted: Wanted, list: SerialList | undefined): string | undefined => {
  if (!isName(wanted.name)) return `The name ${nameRule}.`;
  if (!isBetween(usesOf(wanted, list), usesMax)) return `Uses are a number from 1 to ${usesMax}.`;
  if (!isBetween(wanted.hours, hoursMax)) return `Hours are a number from 1 to ${hoursMax}.`;
  if (parseLabels(wanted.labels) === undefined) return 'Labels are written as key=value, with spaces between them.';
  return whyNotList(list);
};

const Shown = ({ text, onClose }: { text: string; onClose: () => void }): ReactElement => (
  <div className="stack">
    <p>This text is shown once. Give it to the agents; whoever has it can knock.</p>
    <pre className="ticket" tabIndex={0} aria-label="Ticket">
      {text}
    </pre>
    <div className="row end">
      <CopyButton text={text} label="Copy the ticket" />
      <Button kind="primary" onClick={onClose}>
        I have it
      </Button>
    </div>
    <details>
      <summary>Flash a device, or bring a host in</summary>
      <Suspense fallback={<p className="quiet">One moment …</p>}>
        <DeviceGuide />
      </Suspense>
    </details>
  </div>
);

const Fields = ({ wanted, list, set }: { wanted: Wanted; list: SerialList | undefined; set: (wanted: Wanted) => void }): ReactElement => (
  <>
    <label>
      Name
      <input value={wanted.name} autoFocus onChange={(event) => set({ ...wanted, name: event.target.value })} />
    </label>
    <div className="two">
      <label>
        Hosts that may use it
        <input inputMode="numeric" value={usesOf(wanted, list)} onChange={(event) => set({ ...wanted, uses: event.target.value })} />
      </label>
      <label>
        Hours until it expires
        <input inputMode="numeric" value={wanted.hours} onChange={(event) => set({ ...wanted, hours: event.target.value })} />
      </label>
    </div>
    <label>
      Labels for its hosts
      <input value={wanted.labels} placeholder="ring=canary site=north" onChange={(event) => set({ ...wanted, labels: event.target.value })} />
    </label>
    <SerialField text={wanted.serials} list={list} uses={Number(usesOf(wanted, list))} set={(serials) => set({ ...wanted, serials })} />
    <label className="check">
      <input type="checkbox" checked={wanted.autoApprove} onChange={(event) => set({ ...wanted, autoApprove: event.target.checked })} />
      <span>Let its hosts in without approval. Then the ticket alone decides who comes in.</span>
    </label>
  </>
);

/** Asks for what the ticket allows, then shows its text once. */
export const CreateTicket = ({ onClose }: { onClose: () => void }): ReactElement => {
  const { project } = useScope();
  const client = useQueryClient();
  const [wanted, setWanted] = useState<Wanted>({ name: '', uses: undefined, hours: '24', labels: '', autoApprove: false, serials: '' });
  // A list of 10,000 lines is read when the typing pauses for a moment, so that the field never lags behind.
  const settled = useDeferredValue(wanted.serials);
  const list = useMemo(() => readListed(settled), [settled]);
  const create = useMutation({
    mutationFn: () =>
      ask('createTicket', {
        params: { project },
        body: {
          name: wanted.name,
          uses: Number(usesOf(wanted, list)),
          ...(list === undefined ? {} : { serials: list.devices }),
          ttlSeconds: Number(wanted.hours) * 3600,
          labels: parseLabels(wanted.labels) ?? {},
          autoApprove: wanted.autoApprove,
        },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.tickets(project) }),
    // The secret leaves the page's memory with the dialog.
    gcTime: 0,
  });
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Dialog open onClose={onClose} title="Create ticket">
      {create.data !== undefined ? (
        <Shown text={create.data.ticket} onClose={onClose} />
      ) : (
        <form onSubmit={submit}>
          <Fields wanted={wanted} list={list} set={setWanted} />
          {create.error !== null && <Problem failure={create.error} />}
          <div className="row end">
            <Button onClick={onClose}>Cancel</Button>
            <Button
              type="submit"
              kind="primary"
              why={
                reason(wanted, list) ??
                (settled === wanted.serials ? undefined : 'The list is being read.') ??
                (create.isPending ? 'It is on its way.' : undefined)
              }
            >
              Create ticket
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
};
