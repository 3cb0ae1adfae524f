import type { JournalEntry } from '@groundplane/protocol/ask';
import type { SiteHostView, SiteSummaryView } from '@groundplane/protocol/api/site-routes';
import type { HostView } from '@groundplane/protocol/api/views';
import { digestOf } from '@groundplane/protocol/digest';
import { calmVitals } from '../fake/vitals.ts';
import { missing, pageOf, yes, type Answers, type Fixture } from './fixture-answers.ts';

const minute = 60_000;
const away = { code: 'host-offline', message: 'is offline' };

const steps = (host: HostView, atMs: number): JournalEntry[] =>
  [
    { step: 'stageContent', text: 'fetch 3 blobs', state: 'done' as const, attempt: 1 },
    { step: 'installPackage', text: 'install package curl', state: 'failed' as const, attempt: 1 },
    { step: 'installPackage', text: 'install package curl', state: 'failed' as const, attempt: 2 },
    { step: 'installPackage', text: 'install package curl', state: 'done' as const, attempt: 3 },
    { step: 'applyObjects', text: host.name.includes('<') ? host.name : 'apply 3 objects of layer till', state: 'intent' as const, attempt: 1 },
  ].map((step, index) => ({
    ...step,
    seq: index + 1,
    atMs: atMs - (10 - index) * minute,
    generation: host.generation,
    layer: index === 0 ? undefined : index === 4 ? 'till' : 'base',
    ...(step.state === 'failed' ? { failure: { code: 'apt-busy', message: 'another process holds the lock of apt; it is tried again' } } : {}),
  }));

const siteOf = (host: HostView): string => host.labels['site'] ?? host.cluster ?? '';

const membersOf = (fixture: Fixture, name: string): SiteHostView[] =>
  [...fixture.world.hosts.values()]
    .filter((host) => siteOf(host) === name)
    .map((host, index) => ({
      ...host,
      ...(index === 0 ? { kubernetes: { role: 'control-plane' as const, node: 'joined' as const, keeper: true, version: 'v1.34.2' } } : {}),
      ...(index % 2 === 0 ? { shares: { addresses: ['10.4.0.7', 'fd00::7'], port: 5082 } } : {}),
    }));

const summaryOf = (fixture: Fixture, name: string): SiteSummaryView => {
  const members = membersOf(fixture, name);
  const approved = members.filter((host) => host.state === 'approved');
  const offline = approved.filter((host) => !host.online);
  const clusters = [...new Set(members.flatMap((host) => host.cluster ?? []))];
  const carriedMs = members.find((host) => host.carried !== undefined)?.carried?.receivedAtMs;
  return {
    name,
    by: 'label',
    hosts: approved.length,
    online: approved.length - offline.length,
    lobby: members.length - approved.length,
    simulated: members.some((host) => host.simulated),
    clusters: clusters.map((cluster) => ({ name: cluster, state: fixture.world.clusters.get(cluster)?.state ?? 'ready' })),
    ...(offline[0]?.lastSeenMs === undefined ? {} : { offlineSinceMs: offline[0].lastSeenMs }),
    sharing: approved.filter((host) => host.shares !== undefined).length,
    ...(carriedMs === undefined ? {} : { carriedMs }),
  };
};

/** Hosts that are asked, sites and media, as the hub answers about them. */
export const placeAnswers = (fixture: Fixture): Answers => {
  const { hosts, clusters } = fixture.world;
  return {
    hostVitals: ({ params }) => {
      const host = hosts.get(params.name);
      if (host === undefined) return missing('host', params.name);
      if (host.online) return yes({ state: 'live', asOfMs: fixture.nowMs(), vitals: calmVitals });
      const full = { ...calmVitals, disks: [{ path: '/', totalBytes: 100 * 1024 ** 3, availableBytes: 4 * 1024 ** 3 }] };
      return host.lastSeenMs === undefined ? yes({ state: 'none', why: away }) : yes({ state: 'last', asOfMs: host.lastSeenMs, vitals: full, why: away });
    },
    hostJournal: ({ params }) => {
      const host = hosts.get(params.name);
      if (host === undefined) return missing('host', params.name);
      return host.online ? yes({ state: 'live', asOfMs: fixture.nowMs(), steps: steps(host, fixture.nowMs()) }) : yes({ state: 'none', why: away, steps: [] });
    },
    listSites: ({ query }) => {
      const names = [...new Set([...hosts.values()].map(siteOf))].filter((name) => name !== '');
      return yes({
        ...pageOf(
          names.map((name) => summaryOf(fixture, name)),
          query,
        ),
        elsewhere: 1,
      });
    },
    getSite: ({ params }) => {
      const members = membersOf(fixture, params.name);
      return members.length === 0 ? missing('site', params.name) : yes({ ...summaryOf(fixture, params.name), members });
    },
    listReceipts: () =>
      yes({
        items: [...hosts.values()].flatMap((host) =>
          host.carried === undefined
            ? []
            : [
                {
                  host: host.name,
                  ...(host.cluster === undefined ? {} : { cluster: host.cluster }),
                  online: host.online,
                  generationWanted: host.generation,
                  ...host.carried,
                },
              ],
        ),
      }),
    importReceipt: ({ body }) => {
      const { receipt } = body;
      const host = [...hosts.values()].find((each) => each.id === receipt.host);
      if (host === undefined) return missing('host', receipt.host);
      if (receipt.seq <= (host.carried?.seq ?? 0)) return yes({ host: host.name, seq: receipt.seq, events: 0, state: 'known' });
      host.carried = { seq: receipt.seq, atMs: receipt.atMs, receivedAtMs: fixture.nowMs(), generation: host.generation - 1 };
      return yes({ host: host.name, seq: receipt.seq, events: receipt.events.length, state: 'taken' });
    },
    clusterMedia: ({ params }) => {
      const cluster = clusters.get(params.name);
      if (cluster === undefined) return missing('cluster', params.name);
      const item = (kind: 'bundle' | 'object' | 'desired', size: number) => ({ kind, name: params.name, digest: digestOf([kind, params.name]), size });
      return yes({
        schema: 'groundplane.dev/media/1',
        subject: { project: params.project, cluster: params.name },
        bundle: digestOf(['bundle', params.name]),
        items: [item('bundle', 40_000), item('object', 5_000), item('desired', 9_000)],
        images: params.name === 'store-001' ? [{ reference: 'registry.example/till:2.8.0' }] : [],
      });
    },
  };
};
