import type { Report } from '@groundplane/protocol/messages';
import type { HostEntry } from '../fleet/index.ts';
import type { Write } from '../port/store.ts';

/** What a report of a host becomes in the store: its events and its state. `cluster` is a name. */
export const reportWrites = (report: Report, host: HostEntry, cluster: string | undefined, nowMs: number): Write[] => {
  const base = { tenant: host.tenant, project: host.project, host: host.name, ...(cluster === undefined ? {} : { cluster }) };
  const writes: Write[] = (report.events ?? []).map((event) => ({ op: 'event', event: { ...base, ...event, message: event.message.slice(0, 2048) } }));
  if (report.dropped !== undefined)
    writes.push({
      op: 'event',
      event: {
        ...base,
        atMs: nowMs,
        type: 'warning',
        reason: 'EventsDropped',
        message: `the host had to throw away ${report.dropped} events while it was away`,
      },
    });
  if (report.status !== undefined)
    writes.push({
      op: 'put',
      kind: 'observed',
      tenant: host.tenant,
      id: host.id,
      project: '',
      name: host.id,
      value: { status: report.status, reportedAtMs: nowMs },
    });
  return writes;
};
