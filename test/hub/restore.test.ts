import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { acceptDesired } from '@groundplane/protocol/accept';
import type { Version } from '@groundplane/protocol/bundle';
import { digestBytes, digestOf } from '@groundplane/protocol/digest';
import type { DesiredMessage } from '@groundplane/protocol/messages';
import type { HostPhase, HostStatus } from '@groundplane/protocol/observed';
import { assignmentTree, planAssignments, type Assignment } from '@groundplane/hub/plan/assignments';
import { isInTree, desiredLeaf } from '@groundplane/protocol/merkle';
import { applyCluster, applyProfile, enrolledHost, greet, openHub, until, value, type HubWorld } from './world.ts';

let hub: HubWorld;
beforeEach(async () => {
  hub = await openHub();
});
afterEach(async () => hub.close());

const versionOf = (message: DesiredMessage): Version => ({
  epoch: message.desired.epoch,
  generation: message.desired.generation,
  digest: digestOf(message.desired),
});
const status = (version: Version | undefined, phase: HostPhase): HostStatus => ({
  phase,
  layers: [],
  kubernetes: { state: 'unknown' },
  ...(version === undefined ? {} : { version }),
});
const clusterNow = async () => value(await hub.admin.call('getCluster', { params: { project: 'default', name: 'shop' } }));

describe('reports', () => {
  test('count only about the very state that the host was told', async () => {
    const { line } = await enrolledHost(hub, 'edge');
    await applyProfile(hub.admin, 'web', '1.0.0');
    await applyProfile(hub.admin, 'web', '2.0.0');
    await applyCluster(hub.admin, 'shop', 'web', '1.0.0', ['edge']);
    const first = versionOf(await line.hear('desired'));
    let seq = 0;
    const report = async (version: Version | undefined, phase: HostPhase): Promise<string> => {
      seq += 1;
      line.say({ t: 'report', seq, status: status(version, phase) });
      await until(() => line.heard.some((message) => message.t === 'ack' && message.seq === seq), 'an acknowledgement');
      return (await clusterNow()).state;
    };
    expect(await report(undefined, 'converged')).toBe('applying');
    expect(await report({ ...first, generation: 0 }, 'converged')).toBe('applying');
    expect(await report({ ...first, generation: 7 }, 'converged')).toBe('applying');
    expect(await report({ ...first, digest: digestBytes('another content of the same number') }, 'converged'), 'same number, other content').toBe('applying');
    expect(await report({ ...first, epoch: 'elsewhere' }, 'converged'), 'same number, other history').toBe('applying');
    expect(await report(first, 'converged')).toBe('ready');
    line.heard.length = 0;
    await applyCluster(hub.admin, 'shop', 'web', '2.0.0', ['edge']);
    const second = versionOf(await line.hear('desired'));
    expect((await clusterNow()).state, 'the old health says nothing about the new version').toBe('applying');
    expect(await report(first, 'converged')).toBe('applying');
    expect(await report(first, 'failed')).toBe('applying');
    expect(await report(second, 'degraded')).toBe('degraded');
    expect(await report(second, 'converged')).toBe('ready');
  });

  test('are acknowledged only when they are on the disk, with their events', async () => {
    const { line, id } = await enrolledHost(hub, 'edge');
    line.say({
      t: 'report',
      seq: 9,
      dropped: 4,
      events: [{ atMs: 1, type: 'warning', reason: 'DriftHealed', message: 'put back' }],
      status: status(undefined, 'idle'),
    });
    await until(() => line.heard.some((message) => message.t === 'ack' && message.seq === 9), 'an acknowledgement');
    expect((await hub.store.get('observed', hub.tenant, id))?.value.status.phase).toBe('idle');
    const events = value(await hub.admin.call('listEvents', { params: { project: 'default' }, query: { last: 10 } })).items;
    expect(events.filter((event) => event.host === 'edge').map((event) => event.reason)).toEqual(expect.arrayContaining(['DriftHealed', 'EventsDropped']));
  });

  test('a host cannot speak for another: events and status are its own', async () => {
    const one = await enrolledHost(hub, 'one');
    const two = await enrolledHost(hub, 'two');
    one.line.sayText(
      JSON.stringify({
        t: 'report',
        seq: 1,
        host: 'two',
        status: { ...status(undefined, 'failed'), host: two.id },
        events: [{ atMs: 1, type: 'normal', reason: 'R', message: 'm', host: 'two', tenant: 'other', cluster: 'theirs' }],
      }),
    );
    await until(() => one.line.heard.some((message) => message.t === 'ack'), 'an acknowledgement');
    expect(await hub.store.get('observed', hub.tenant, two.id)).toBeUndefined();
    const events = value(await hub.admin.call('listEvents', { params: { project: 'default' }, query: { last: 10 } })).items.filter(
      (event) => event.reason === 'R',
    );
    expect(events).toMatchObject([{ host: 'one' }]);
    expect(events[0]?.cluster).toBeUndefined();
  });
});

describe('a hub that was restored from an older backup', () => {
  /** A host at generation `ahead`, and the hub as it was at generation 1. */
  const restored = async (ahead: number): Promise<{ have: Version; greetAgain: (have: Version) => ReturnType<typeof greet> }> => {
    const { device, line } = await enrolledHost(hub, 'edge');
    for (let turn = 1; turn <= ahead + 1; turn += 1) await applyProfile(hub.admin, 'web', `${turn}.0.0`);
    await applyCluster(hub.admin, 'shop', 'web', '1.0.0', ['edge']);
    let have = versionOf(await line.hear('desired'));
    await hub.core.runner.settled();
    const backup = mkdtempSync(join(tmpdir(), 'gp-backup-'));
    const { folder, keys } = hub;
    hub = await hub.restart();
    cpSync(folder, backup, { recursive: true });
    const again = await greet(hub, device, { resume: { version: have } });
    await again.hear('welcome');
    for (let turn = 2; turn <= ahead; turn += 1) {
      again.heard.length = 0;
      await applyCluster(hub.admin, 'shop', 'web', `${turn}.0.0`, ['edge']);
      have = versionOf(await again.hear('desired'));
    }
    await hub.close();
    hub = await openHub({ folder: backup, keys });
    return { have, greetAgain: (version) => greet(hub, device, { resume: { version } }) };
  };

  test('gives the host a generation above its own, and the host takes it', async () => {
    const { have, greetAgain } = await restored(4);
    expect(have.generation).toBe(4);
    const line = await greetAgain(have);
    const message = await line.hear('desired');
    expect(message.desired.generation).toBeGreaterThan(have.generation);
    expect(acceptDesired(have, versionOf(message), [], message.adopted)).toEqual({ accept: 'new' });
  });

  test('that went on by itself to the same number with other content, is adopted too', async () => {
    const { have, greetAgain } = await restored(2);
    await applyCluster(hub.admin, 'shop', 'web', '3.0.0', ['edge']);
    await until(
      async () => (await hub.store.get('desired', hub.tenant, [...hub.core.fleet.hosts()][0]?.id ?? ''))?.value.version.generation === have.generation,
      'the hub reaches the number of the host',
    );
    const message = await (await greetAgain(have)).hear('desired');
    expect(acceptDesired(have, versionOf(message), [], message.adopted)).toEqual({ accept: 'new' });
  });

  test.each([0, 1, 3])('with a new epoch continues the history of a host that was away, after %i changes of its own', async (changes) => {
    const { device, line } = await enrolledHost(hub, 'edge');
    for (let turn = 1; turn <= 5; turn += 1) await applyProfile(hub.admin, 'web', `${turn}.0.0`);
    await applyCluster(hub.admin, 'shop', 'web', '1.0.0', ['edge']);
    const have = versionOf(await line.hear('desired'));
    line.hangUp();
    const { folder, keys } = hub;
    const copy = mkdtempSync(join(tmpdir(), 'gp-backup-'));
    await hub.core.runner.settled();
    await hub.core.close();
    await hub.store.close();
    cpSync(folder, copy, { recursive: true });
    rmSync(folder, { recursive: true, force: true });
    hub = await openHub({ folder: copy, keys, epoch: 'epoch2' });
    await hub.core.runner.settled();
    for (let turn = 2; turn < 2 + changes; turn += 1) await applyCluster(hub.admin, 'shop', 'web', `${turn}.0.0`, ['edge']);
    await hub.core.runner.settled();
    const message = await (await greet(hub, device, { resume: { version: have } })).hear('desired');
    const next = versionOf(message);
    expect(next.epoch).toBe('epoch2');
    expect(acceptDesired(have, next, [], message.adopted)).toEqual({ accept: 'new' });
    const back = await greet(hub, device, { resume: { version: next } });
    expect((await back.hear('welcome')).resume).toBe('unchanged');
  });

  test('does not push back a host whose desired state it never knew, and does not tear it down', async () => {
    const { device, line } = await enrolledHost(hub, 'edge');
    line.hangUp();
    const have: Version = { epoch: hub.epoch, generation: 5, digest: digestBytes('from before the backup') };
    const again = await greet(hub, device, { resume: { version: have } });
    await again.hear('welcome');
    const desired = again.heard.find((message) => message.t === 'desired');
    // A host that runs something which this hub knows nothing of is left alone until a person says what it should be.
    expect(desired === undefined || desired.desired.cluster !== undefined, 'the hub orders a tear-down because of its own lost memory').toBe(true);
    await applyProfile(hub.admin, 'web', '1.0.0');
    await applyCluster(hub.admin, 'shop', 'web', '1.0.0', ['edge']);
    const later = await again.hear('desired');
    expect(later.desired.generation).toBeGreaterThan(5);
  });
});

describe('numbering', () => {
  const assignment = fc
    .record({
      host: fc.constantFrom('h1', 'h2', 'h3'),
      cluster: fc.option(fc.constantFrom('c1', 'c2'), { nil: undefined }),
      bundle: fc.constantFrom('b1', 'b2'),
    })
    .map((item): Assignment => ({
      tenant: 'ten_00000000000000000000',
      host: item.host,
      inputs: '',
      cluster: item.cluster === undefined ? undefined : { id: item.cluster, name: item.cluster, role: 'control-plane', applier: true },
      bundle: item.cluster === undefined ? undefined : digestBytes(item.bundle),
    }));

  test('generations only rise, unchanged hosts get none, and each is in the signed tree', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.uniqueArray(assignment, { maxLength: 3, selector: (item) => item.host }), fc.constantFrom('e1', 'e2'), fc.nat(9)), {
          maxLength: 12,
        }),
        (changes) => {
          const told = new Map<string, ReturnType<typeof planAssignments>[number]>();
          for (const [wanted, epoch, floor] of changes) {
            const numbered = planAssignments(
              epoch,
              wanted,
              (host) => told.get(host),
              () => floor,
            );
            if (numbered.length > 0) {
              const tree = assignmentTree(numbered);
              for (const [index, item] of numbered.entries())
                expect(isInTree(desiredLeaf(item.desired.host, item.version.generation, item.version.digest), tree.proof(index), tree.root)).toBe(true);
            }
            for (const item of numbered) {
              const before = told.get(item.desired.host);
              expect(item.version.generation).toBeGreaterThan(Math.max(before?.version.generation ?? 0, floor));
              expect(item.version.digest).toBe(digestOf(item.desired));
              expect(item.desired.parent).toBe(before?.version.digest);
              told.set(item.desired.host, item);
            }
            expect(planAssignments(epoch, wanted, (host) => told.get(host))).toEqual([]);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
