import { isSigned } from '../gateway/door.ts';
import { fail, ok } from '@groundplane/protocol/failure';
import { receiptText } from '@groundplane/protocol/media';
import type { Write } from '../port/store.ts';
import { notFound } from './errors.ts';
import type { Handler } from './handler.ts';

/**
 * A host without a line reports by a medium. It is believed as over the line: by its key. Each receipt counts once, by its number, whatever the clocks say; one that
 * is older than what is known changes nothing. The status of a host that is connected is what it says itself.
 */
export const importReceipt: Handler<'importReceipt'> = async ({ principal, project, body }, deps) => {
  const { receipt, signature } = body;
  const element = `receipt ${receipt.seq} of ${receipt.host}`;
  const row = await deps.store.get('host', principal.tenant, receipt.host);
  if (row === undefined || row.project !== project) return notFound(`host ${receipt.host}`, 'Is this the project that the medium was written for?');
  if (receipt.hub !== deps.keys.hub) return fail('fatal', 'receipt-foreign', element, `it is for hub ${receipt.hub}, and this is ${deps.keys.hub}`);
  if (row.value.state !== 'approved') return fail('blocked', 'host-revoked', element, 'this host is not approved here');
  if (receipt.key !== row.value.key || !isSigned(receipt.key, receiptText(receipt), signature))
    return fail('fatal', 'receipt-untrusted', element, 'it is not signed by the key of this host');
  const answer = { host: row.name, seq: receipt.seq };
  if (receipt.seq <= (row.value.receipt ?? 0)) return ok({ ...answer, events: 0, state: 'known' as const });
  const entry = deps.fleet.host(row.id);
  const cluster = deps.fleet.clusterOf(row.id);
  const base = { tenant: row.tenant, project, host: row.name, ...(cluster === undefined ? {} : { cluster: cluster.name }) };
  const writes: Write[] = receipt.events.map((event) => ({ op: 'event', event: { ...base, ...event, message: event.message.slice(0, 2048) } }));
  writes.push({
    op: 'put',
    kind: 'host',
    tenant: row.tenant,
    id: row.id,
    project,
    name: row.name,
    lookup: row.value.key,
    value: {
      ...row.value,
      receipt: receipt.seq,
      carried: {
        atMs: receipt.atMs,
        receivedAtMs: deps.clock.wallMs(),
        ...(receipt.version === undefined ? {} : { generation: receipt.version.generation }),
      },
    },
    expect: row.version,
  });
  if (entry?.online !== true)
    writes.push({
      op: 'put',
      kind: 'observed',
      tenant: row.tenant,
      id: row.id,
      project: '',
      name: row.id,
      value: { status: receipt.status, reportedAtMs: deps.clock.wallMs() },
    });
  const done = await deps.store.commit(writes);
  return done.ok ? ok({ ...answer, events: receipt.events.length, state: 'taken' as const }) : done;
};
