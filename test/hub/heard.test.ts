import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JournalEntry } from '@groundplane/protocol/ask';
import { limits } from '@groundplane/protocol/limits';
import { calmVitals } from '../fake/vitals.ts';
import { codeOf, enrolledHost, greet, makeDevice, makeTicket, openHub, until, value, type Device, type HubWorld, type Line } from './world.ts';

let hub: HubWorld;
beforeEach(async () => {
  hub = await openHub();
});
afterEach(async () => {
  expect(hub.log.filter((line) => line.includes('Error'))).toEqual([]);
  await hub.close();
});

const params = { project: 'default', name: 'edge' };
const vitals = (of = hub) => of.admin.call('hostVitals', { params });
const journal = () => hub.admin.call('hostJournal', { params });
const asks = (line: Line) => line.heard.filter((message) => message.t === 'ask');
const asked = (line: Line, count: number) => until(() => (asks(line).length >= count ? asks(line)[count - 1] : undefined), `${count} questions`);

const connected = async (device?: Device): Promise<{ device: Device; line: Line }> => {
  const used = device ?? makeDevice(await makeTicket(hub.admin, { autoApprove: true }));
  const line = await greet(hub, used, { name: 'edge', capabilities: ['ask'] });
  await line.hear('welcome');
  return { device: used, line };
};

const step = (seq: number): JournalEntry => ({ seq, atMs: seq, generation: 1, step: 'applyObjects', text: 'apply 3 objects', state: 'done', attempt: 1 });

describe('what hosts tell when they are asked', () => {
  test('live while connected; many who look cost one question; last known, with the reason, while it is away', async () => {
    const { line } = await connected();
    const looks = [vitals(), vitals(), vitals()];
    const { id } = await asked(line, 1);
    line.say({ t: 'answer', id, vitals: calmVitals });
    for (const look of looks) expect(value(await look)).toMatchObject({ state: 'live', vitals: calmVitals });
    expect(value(await vitals()), 'a fresh one is not asked for again').toMatchObject({ state: 'live' });
    expect(asks(line)).toHaveLength(1);
    line.hangUp();
    const last = value(await vitals());
    expect(last).toMatchObject({ state: 'last', vitals: calmVitals, why: { code: 'host-offline' } });
    expect(last.asOfMs).toBeGreaterThan(0);
    await until(
      async () => (await hub.store.get('presence', hub.tenant, hub.core.fleet.hostByName(hub.tenant, projectId(), 'edge')?.id ?? ''))?.value.vitals,
      'kept',
    );
    hub = await hub.restart();
    expect(value(await vitals()), 'a restarted hub remembers').toMatchObject({ state: 'last', vitals: calmVitals });
  });

  const projectId = (): string => [...hub.core.fleet.hosts()].find((host) => host.name === 'edge')?.project ?? '';

  test('vitals told unasked are shown without a question; a journal nobody asked for is not kept', async () => {
    const { line } = await connected();
    line.say({ t: 'answer', id: 0, vitals: calmVitals });
    line.say({ t: 'answer', id: 0, journal: [step(1)] });
    await until(() => hub.core.gateway.asker.lastVitals(hub.core.fleet.hostByName(hub.tenant, projectId(), 'edge')?.id ?? ''), 'told');
    expect(value(await vitals())).toMatchObject({ state: 'live', vitals: calmVitals });
    expect(asks(line)).toEqual([]);
    line.hangUp();
    expect(value(await journal())).toEqual({ state: 'none', steps: [], why: { code: 'host-offline', message: 'is offline' } });
  });

  test('a journal comes, and stays the last known', async () => {
    const { line } = await connected();
    const looked = journal();
    const { id, last } = await asked(line, 1);
    expect(last).toBe(limits.journalAnswer);
    line.say({ t: 'answer', id, journal: [step(1), step(2)] });
    expect(value(await looked)).toMatchObject({ state: 'live', steps: [{ seq: 1 }, { seq: 2 }] });
    const again = journal();
    await asked(line, 2);
    line.hangUp();
    expect(value(await again), 'who waits learns that the line broke').toMatchObject({
      state: 'last',
      why: { code: 'host-offline' },
      steps: [{ seq: 1 }, { seq: 2 }],
    });
  });

  test('answers that are late, wrong, twice or of another connection change nothing', async () => {
    const first = await connected();
    const looked = vitals();
    const { id } = await asked(first.line, 1);
    first.line.say({ t: 'answer', id: id + 9, vitals: calmVitals });
    const second = await connected(first.device);
    second.line.say({ t: 'answer', id, vitals: calmVitals });
    expect(value(await looked)).toMatchObject({ state: 'none' });
    const other = vitals();
    const next = await asked(second.line, 1);
    second.line.say({ t: 'answer', id: next.id, journal: [step(1)] });
    expect(value(await other)).toMatchObject({ state: 'none', why: { code: 'answer-empty' } });
    const refused = vitals();
    const third = await asked(second.line, 2);
    second.line.say({ t: 'answer', id: third.id, failure: { kind: 'blocked', code: 'vitals-unknown', element: 'machine', message: 'none to tell' } });
    expect(value(await refused)).toMatchObject({ state: 'none', why: { code: 'vitals-unknown' } });
  });

  test('an agent that is too old is not asked, and a silent one is waited for within a bound', { timeout: 2 * limits.askMs + 10_000 }, async () => {
    await enrolledHost(hub, 'old');
    expect(value(await hub.admin.call('hostVitals', { params: { project: 'default', name: 'old' } }))).toMatchObject({
      state: 'none',
      why: { code: 'agent-too-old' },
    });
    await connected();
    const began = performance.now();
    expect(value(await vitals())).toMatchObject({ state: 'none', why: { code: 'host-silent' } });
    expect(performance.now() - began).toBeGreaterThan(limits.askMs - 500);
  });

  test('an answer that is too long or malformed ends the conversation, and nothing is kept', async () => {
    const { line } = await connected();
    const looked = journal();
    const { id } = await asked(line, 1);
    line.sayText(JSON.stringify({ t: 'answer', id, journal: Array.from({ length: limits.journalAnswer + 1 }, (_, index) => step(index + 1)) }));
    expect(value(await looked)).toMatchObject({ state: 'none', steps: [] });
    expect(line.isClosed()).toBe(true);
  });

  test('a host of another project is no host here, and whoever may not see hosts sees none', async () => {
    await connected();
    value(await hub.admin.call('createProject', { body: { name: 'other' } }));
    expect(codeOf(await hub.admin.call('hostVitals', { params: { project: 'other', name: 'edge' } }))).toBe('not-found');
    expect(codeOf(await hub.admin.call('hostJournal', { params: { project: 'default', name: 'nobody' } }))).toBe('not-found');
    const foreign = await hub.client([{ role: 'Viewer', project: 'prj_00000000000000000000' }]);
    expect(codeOf(await foreign.call('hostVitals', { params }))).toBe('not-found');
  });
});
