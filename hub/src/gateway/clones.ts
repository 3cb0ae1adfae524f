import type { HostEntry } from '../fleet/index.ts';
import type { Clock } from '../port/clock.ts';
import type { Store } from '../port/store.ts';

/** Boots of one host that are remembered; a device that starts more often than this between two connections is not looked at. */
const bootsMax = 8;

/**
 * Two machines with one key, from a copied disk, take the connection from each other for ever. A device may start anew as often as it likes, but a boot that
 * another one has followed does not come back. When it does, neither is believed: the host goes back to the lobby, both go on with what they have, and a
 * person decides. (A machine put back to a running snapshot looks the same, and deserves the question.)
 */
export const createCloneWatch = ({ store, clock }: { store: Store; clock: Clock }) => {
  const boots = new Map<string, string[]>();

  /** Notes this boot; true when it had been followed by another one. */
  const isClone = (host: string, bootId: string): boolean => {
    const seen = boots.get(host) ?? [];
    if (seen.at(-1) === bootId) return false;
    if (seen.includes(bootId)) return true;
    boots.set(host, [...seen, bootId].slice(-bootsMax));
    return false;
  };

  const quarantine = async (host: HostEntry): Promise<void> => {
    const seen = boots.get(host.id) ?? [];
    boots.delete(host.id);
    const row = await store.get('host', host.tenant, host.id);
    if (row === undefined || row.value.state !== 'approved') return;
    const atMs = clock.wallMs();
    const message = `two machines say that they are ${row.name} (boots ${seen.slice(-2).join(' and ')}). It waits in the lobby: remove /var/lib/groundplane on the copy and enrol that one anew, then approve ${row.name}`;
    await store.commit([
      {
        op: 'put',
        kind: 'host',
        tenant: row.tenant,
        id: row.id,
        project: row.project,
        name: row.name,
        lookup: row.value.key,
        expect: row.version,
        value: { ...row.value, state: 'lobby', suspected: { atMs, message } },
      },
      {
        op: 'event',
        event: {
          tenant: row.tenant,
          project: row.project,
          host: row.name,
          atMs,
          type: 'warning',
          reason: 'CloneSuspected',
          message,
        },
      },
    ]);
  };

  return { isClone, quarantine };
};
