import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openBlobs } from '@groundplane/agent/blobs/open';
import { createAgent } from '@groundplane/agent/agent';
import { linkFor } from '@groundplane/agent/link/link-for';
import { agentVersion, takeTicket } from '@groundplane/agent/main';
import { loadDeviceKey } from '@groundplane/agent/identity/key';
import { httpContent } from '@groundplane/agent/link/content-http';
import { startLocalPage } from '@groundplane/agent/local/page';
import { openSqliteStore } from '@groundplane/agent/store/sqlite';
import { systemClock } from '@groundplane/agent/system/clock';
import { systemRandom } from '@groundplane/agent/system/random';
import { ok } from '@groundplane/protocol/failure';
import { refText, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import { fakeCluster, type FakeCluster, type FakeClusterState } from '../fake/cluster.ts';
import { emptyHostState, fakeHost, fakeInfo, type FakeHost, type FakeHostState } from '../fake/host.ts';

/**
 * A host of the lab: the real agent, in a process of its own, with the real store and link, whose machine and Kubernetes are simulated. It says so in
 * everything it reports. Its loopback door lets a newcomer break things: POST /break.
 */
interface World {
  cluster: FakeClusterState;
  host: FakeHostState;
}

const saveMs = 500;

const loadWorld = (file: string): World | undefined => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as World) : undefined);

const keepWorld = (file: string, cluster: FakeCluster, host: FakeHost): { save: () => void; stop: () => void } => {
  let last = '';
  const save = (): void => {
    const text = JSON.stringify({ cluster: cluster.snapshot(), host: host.state } satisfies World);
    if (text === last) return;
    last = text;
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  let cancel = (): void => undefined;
  const tick = (): void => {
    save();
    cancel = systemClock.after(saveMs, tick);
  };
  tick();
  return { save, stop: () => cancel() };
};

/** Damage somebody might do by hand: a workload scaled to nothing, a configuration emptied, an object deleted. */
const breakSomething = async (cluster: FakeCluster): Promise<string> => {
  const mine = cluster.objects().filter((object) => object.metadata.labels?.['groundplane.dev/managed'] === 'true');
  const refOf = (object: KubeObject): ObjectRef => ({
    apiVersion: object.apiVersion,
    kind: object.kind,
    name: object.metadata.name ?? '',
    ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
  });
  const deployment = mine.find((object) => object.kind === 'Deployment');
  const victim = mine.find((object) => object.kind === 'ConfigMap' || object.kind === 'Service');
  const done: string[] = [];
  if (deployment !== undefined) {
    const hand = {
      apiVersion: deployment.apiVersion,
      kind: deployment.kind,
      metadata: { name: deployment.metadata.name ?? '', namespace: deployment.metadata.namespace ?? 'default' },
      spec: { replicas: 0 },
    };
    await cluster.apply(hand, { fieldManager: 'a-hasty-hand', force: true });
    done.push(`scaled ${refText(refOf(deployment))} to 0`);
  }
  if (victim !== undefined) {
    await cluster.delete(refOf(victim), { propagation: 'Background' });
    done.push(`deleted ${refText(refOf(victim))}`);
  }
  return done.length === 0 ? 'there is nothing to break yet' : done.join(' and ');
};

const startDoor = async (cluster: FakeCluster): Promise<number> => {
  const server = createServer((request, response) => {
    const isBreak = request.method === 'POST' && request.url === '/break' && request.headers.origin === undefined;
    if (!isBreak) return void response.writeHead(404).end();
    void breakSomething(cluster).then((text) => response.writeHead(200, { 'content-type': 'text/plain' }).end(`${text}\n`));
  });
  server.unref();
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  return (server.address() as AddressInfo).port;
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: { data: { type: 'string' }, ticket: { type: 'string' }, name: { type: 'string' }, carrier: { type: 'string', default: 'ws' } },
  });
  const data = values.data ?? '';
  const name = values.name ?? 'lab';
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const ticket = takeTicket(data, values.ticket);
  const key = loadDeviceKey(join(data, 'device.key'));
  if (!ticket.ok || !key.ok) throw new Error(ticket.ok ? 'no key' : ticket.failure.message);
  const worldFile = join(data, 'world.json');
  const world = loadWorld(worldFile);
  const cluster = fakeCluster({ clock: systemClock, ...(world === undefined ? {} : { state: world.cluster }) });
  cluster.controllers({ readyMs: 1_500 });
  const host = fakeHost(world?.host ?? emptyHostState(), { ...fakeInfo, hostname: name, os: 'Simulated Linux', agentVersion });
  const keeper = keepWorld(worldFile, cluster, host);
  const store = openSqliteStore(join(data, 'agent.db'));
  const links = ticket.value.hubs.filter((url) => url.startsWith('mqtt') === (values.carrier === 'mqtt'));
  const agent = createAgent({
    store,
    host,
    openCluster: () => Promise.resolve(ok(cluster)),
    links: links.map((url) => linkFor(url, undefined)),
    content: (token) => httpContent(ticket.value.content, { token }),
    blobs: (facts) => openBlobs(data, { ticket: ticket.value, clock: systemClock, facts }),
    architecture: 'x64',
    key: key.value,
    ticket: ticket.value,
    clock: systemClock,
    random: systemRandom,
    bootId: randomUUID(),
    name,
  });
  const local = await startLocalPage({ name, simulated: true, engine: agent.engine, session: agent.session.state }, 0);
  const door = await startDoor(cluster);
  writeFileSync(join(data, 'lab.json'), JSON.stringify({ name, pid: process.pid, local: `http://127.0.0.1:${local.port}`, door: `http://127.0.0.1:${door}` }));
  process.stdout.write(`${JSON.stringify({ ready: true, name, local: `http://127.0.0.1:${local.port}` })}\n`);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  await agent.run(stop.signal);
  keeper.stop();
  keeper.save();
  await local.close();
  store.close();
  process.exit(0);
};

if (import.meta.main) await main();
