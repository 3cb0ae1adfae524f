import { ok, type Result } from '@groundplane/protocol/failure';
import type { Report } from '@groundplane/protocol/messages';
import type { HostEntry } from '../fleet/index.ts';
import type { Store, Write } from '../port/store.ts';

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

/** How often a report is tried whose host somebody changed at the same moment. */
const keepAttempts = 5;

/** What the agent tells of itself stands in the host's row, which people change too: theirs is never written over. */
const infoWrites = async (store: Pick<Store, 'get'>, host: HostEntry, info: Report['info']): Promise<Write[]> => {
  const row = info === undefined ? undefined : await store.get('host', host.tenant, host.id);
  if (row === undefined || info === undefined) return [];
  const { kind, tenant, id, project, name, version: expect } = row;
  return [{ op: 'put', kind, tenant, id, project, name, lookup: row.value.key, expect, value: { ...row.value, info } }];
};

/** Writes down what an agent reports. Failures: `store-unavailable`, `row-conflict` (retry). */
export const keepReport = async (
  store: Pick<Store, 'get' | 'commit'>,
  { report, host, cluster, nowMs }: { report: Report; host: HostEntry; cluster: string | undefined; nowMs: number },
): Promise<Result<unknown>> => {
  for (let attempt = 1; ; attempt += 1) {
    const writes = [...reportWrites(report, host, cluster, nowMs), ...(await infoWrites(store, host, report.info))];
    const done = writes.length === 0 ? ok(undefined) : await store.commit(writes, { patient: true });
    if (done.ok || done.failure.code !== 'row-conflict' || attempt === keepAttempts) return done;
  }
};
