import { createHmac } from 'node:crypto';
import { isInside, placementOf, type Infrastructure } from '@groundplane/protocol/environment/infrastructure';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import { insideObjects } from '@groundplane/protocol/inside/manifest';
import { apiBase } from '@groundplane/protocol/api/routes';
import { stringify } from 'yaml';
import { machineTicket, ticketSecret } from '../cloud/machine-rows.ts';
import type { HubAddresses } from '../gateway/ticket-line.ts';
import { ticketLine } from '../gateway/ticket-line.ts';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';
import type { Row, Store, Write } from '../port/store.ts';
import { residentId, residentPool } from '../resident/ensure.ts';
import type { HubKeys } from '../trust/keys.ts';
import { isSameText } from '../trust/same-text.ts';
import { insideAgents, insideDigests, neededAgents } from './agent-setting.ts';
import { currentMark } from './mark.ts';
import { startScript } from './start-script.ts';

export interface InsidesDeps {
  store: Store;
  clock: Clock;
  random: Random;
  keys: Pick<HubKeys, 'hub' | 'rootDigest'>;
  secret: string;
  addresses: () => HubAddresses;
}

/** Tested with: the image's Node only starts the one in the package. */
const stockImage = 'docker.io/library/node:26.10.0-slim';

export interface Invitation {
  manifest: string;
  url: string;
  expiresAtMs: number;
}

type ClusterRow = Row<'cluster'>;
type Existing = Infrastructure & { environment: 'existing' };

/** `ID.CODE`, as in the addresses below. */
const splitCode = (text: string): [id: string, code: string] => {
  const at = text.lastIndexOf('.');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
};

/** Lets agents into clusters of others: the manifest that makes one, and the package that its pod fetches whenever it moves to another node. */
export const createInsides = (deps: InsidesDeps) => {
  const { store, clock, random } = deps;
  const codeFor = (what: 'import' | 'package', id: string): string =>
    createHmac('sha256', deps.secret).update(`groundplane inside ${what} 1\n${id}`).digest('base64url');

  const manifestOf = async (row: ClusterRow, machine: string, ticket: string): Promise<Result<string>> => {
    const infrastructure = row.value.spec.infrastructure;
    if (infrastructure === undefined || !isInside(infrastructure))
      return fail('blocked', 'not-inside', `cluster ${row.name}`, 'has no agent inside; its placement says agent: inside where it has one');
    const agents = await neededAgents(store, row.tenant, row.name);
    if (!agents.ok) return agents;
    const { mode, image, storage, proxy } = placementOf(infrastructure as Existing);
    const { content } = deps.addresses();
    const objects = insideObjects({
      cluster: row.name,
      mode,
      image: image ?? stockImage,
      ticket: { id: ticket, line: ticketLine(deps.addresses(), deps.keys, { id: ticket, secret: ticketSecret(deps, ticket) }) },
      start: startScript,
      mark: currentMark,
      packages: `${content}${apiBase}/inside/${row.tenant}.${machine}.${codeFor('package', `${row.tenant}.${machine}`)}`,
      agent: agents.value.agent,
      storage,
      proxy,
    });
    // kubectl reads YAML 1.1, where a cluster called `no` would be false.
    return ok(objects.map((object) => stringify(object, { lineWidth: 0, compat: 'yaml-1.1' })).join('---\n'));
  };

  /** A new ticket for the cluster's agent, noted with who asked for it; the one before is worth nothing from then on. Failures: `agent-package-missing`, `not-inside` (blocked). */
  const invite = async (row: ClusterRow, ttlSeconds: number, actor: string): Promise<Result<Invitation>> => {
    const { tenant, project } = row;
    const id = residentId('mch', row.id);
    const ticket = makeId('ticket', (length) => random.bytes(length));
    const manifest = await manifestOf(row, id, ticket);
    if (!manifest.ok) return manifest;
    const before = await store.get('machine', tenant, id);
    const name = before?.name ?? `${row.name.slice(0, 57)}-agent`;
    const nowMs = clock.wallMs();
    // Whoever only looks is no member of its cluster.
    const isReadOnly = row.value.spec.infrastructure?.placement['mode'] === 'read-only';
    const expiresAtMs = nowMs + ttlSeconds * 1_000;
    const machine: Row<'machine'>['value'] =
      before === undefined
        ? {
            cluster: row.id,
            pool: residentPool,
            role: 'control-plane',
            size: '',
            generation: '',
            phase: isReadOnly ? 'leaving' : 'made',
            sinceMs: nowMs,
            madeAtMs: nowMs,
            reason: 'runs inside of the cluster',
            ticket,
          }
        : { ...before.value, ticket };
    const writes: Write[] = [
      { op: 'put', kind: 'machine', tenant, id, project, name, value: machine, expect: before?.version ?? 'absent' },
      ...(before === undefined ? [] : [{ op: 'delete', kind: 'ticket', tenant, id: before.value.ticket } as const]),
      machineTicket(deps, row, { id: ticket, expiresAtMs }, { id, name }),
      {
        op: 'event',
        event: {
          tenant,
          project,
          cluster: row.name,
          atMs: nowMs,
          type: 'normal',
          reason: 'AgentInvited',
          actor,
          message: `an agent may come into ${row.name} with ticket machine-${ticket.slice(-12)}, once, until ${new Date(expiresAtMs).toISOString()}`,
        },
      },
    ];
    const done = await store.commit(writes);
    if (!done.ok) return done;
    return ok({ manifest: manifest.value, url: `${deps.addresses().content}${apiBase}/import/${ticket}.${codeFor('import', ticket)}`, expiresAtMs });
  };

  /** The manifest behind an address, while its ticket lets somebody in. */
  const manifestAt = async (text: string): Promise<Result<string>> => {
    const [id, code] = splitCode(text);
    const ticket = isSameText(code, codeFor('import', id)) ? await store.byLookup('ticket', id) : undefined;
    const over = fail(
      'blocked',
      'import-over',
      'import',
      'there is no such import, it was used, or its time is over. Ask for another one: gp cloud import NAME',
    );
    if (ticket === undefined || ticket.value.machine === undefined || ticket.value.usesLeft < 1 || ticket.value.expiresAtMs < clock.wallMs()) return over;
    const machine = await store.get('machine', ticket.tenant, ticket.value.machine.id);
    const row = machine === undefined ? undefined : await store.get('cluster', ticket.tenant, machine.value.cluster);
    return row === undefined || machine === undefined ? over : manifestOf(row, machine.id, id);
  };

  /** Whether the pod of this machine may fetch this package: the current one, or one of those before. */
  const mayFetch = async (text: string, digest: string): Promise<boolean> => {
    const [id, code] = splitCode(text);
    const [tenant = '', machine = ''] = id.split('.');
    if (!isSameText(code, codeFor('package', id)) || (await store.get('machine', tenant, machine)) === undefined) return false;
    return insideDigests(await insideAgents(store, tenant)).includes(digest);
  };

  return { invite, manifestAt, mayFetch };
};
export type Insides = ReturnType<typeof createInsides>;
