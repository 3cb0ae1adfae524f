import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type Client } from '@groundplane/protocol/api/client';
import { startChild, type Child } from './children.ts';
import { createLabClusters, labProject, labSites, prepareLab, type LabHub } from './demo.ts';

const root = join(import.meta.dirname, '..', '..');
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const waitForHosts = async (client: Client, names: readonly string[]): Promise<void> => {
  for (let turn = 0; turn < 300; turn += 1) {
    const hosts = await client.call('listHosts', { params: { project: labProject }, query: { limit: 500 } });
    const known = new Set(hosts.ok ? hosts.value.items.map((host) => host.name) : []);
    if (names.every((name) => known.has(name))) return;
    await delay(100);
  }
  throw new Error('lab: the simulated hosts did not reach the hub within 30 seconds');
};

/** Three hosts of the lab, each an agent in a process of its own; the state of each is in its folder. */
const startLab = async (data: string, hub: LabHub): Promise<Child[]> => {
  const { client } = hub;
  const { ticket } = await prepareLab(hub);
  const children = labSites.map((site) => {
    const folder = join(data, 'lab', site.name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return startChild(join(root, 'test/lab/simulated-agent.ts'), ['--data', folder, '--name', site.name, '--carrier', site.carrier, '--ticket', ticket], {
      onError: (text) => process.stderr.write(`[${site.name}] ${text}`),
    });
  });
  await Promise.all(children.map((child) => child.ready));
  await waitForHosts(
    client,
    labSites.map((site) => site.name),
  );
  await createLabClusters(client);
  return children;
};

const startFleet = (count: number, ticket: string): Child =>
  startChild(join(root, 'test/fleet/simulate.ts'), ['--hosts', String(count), '--ticket', ticket], {
    onError: (text) => process.stderr.write(`[fleet] ${text}`),
  });

/** `npm start`: hub, dashboard and a lab site in one go. */
const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: '.groundplane' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '7600' },
      'no-lab': { type: 'boolean', default: false },
      fleet: { type: 'string' },
      'new-setup-link': { type: 'boolean', default: false },
      'public-url': { type: 'string' },
    },
  });
  const data = resolve(values.data);
  const isNew = !existsSync(join(data, 'hub.db'));
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const keyFile = join(data, 'launcher.key');
  const hub = startChild(
    join(root, 'hub/src/main.ts'),
    [
      '--data',
      data,
      '--host',
      values.host,
      '--port',
      values.port,
      '--key-file',
      keyFile,
      ...(values['new-setup-link'] ? ['--new-setup-link'] : []),
      ...(values['public-url'] === undefined ? [] : ['--public-url', values['public-url']]),
    ],
    { onError: (text) => process.stderr.write(text) },
  );
  const running: Child[] = [hub];
  let stopping = false;
  const stop = async (code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    say('stopping …');
    for (const child of running.toReversed()) await child.stop();
    process.exit(code);
  };
  process.on('SIGINT', () => void stop(0));
  process.on('SIGTERM', () => void stop(0));
  hub.process.on('exit', (code) => void stop(code ?? 1));

  const ready = await hub.ready.catch((error: unknown) => {
    process.stderr.write(`the hub did not start: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  });
  if (ready === undefined) return stop(1);
  const url = String(ready['url']);
  say(`hub       ${url}   (state in ${data}${isNew ? ', new' : ''})`);
  if (typeof ready['setupLink'] === 'string') say(`set-up    ${ready['setupLink']}   (works once: makes the first administrator)`);
  const key = readFileSync(keyFile, 'utf8');
  const client = createClient({ baseUrl: url, fetch, headers: () => ({ authorization: `Bearer ${key}` }) });
  if (!values['no-lab']) {
    say('lab       starting three simulated sites …');
    running.push(...(await startLab(data, { client, url, key })));
    say(`lab       ${labSites.map((site) => site.name).join(', ')} in project ${labProject} (simulated)`);
  }
  if (values.fleet !== undefined) {
    const { ticket } = await prepareLab({ client, url, key });
    running.push(startFleet(Number(values.fleet), ticket));
    say(`fleet     ${values.fleet} simulated hosts are enrolling`);
  }
  say(`dashboard ${url}/`);
  const login = typeof ready['setupLink'] === 'string' ? `npm run gp -- login --setup '${ready['setupLink']}' --name admin` : `npm run gp -- login ${url}`;
  say(`next      ${login}`);
  if (!values['no-lab']) say(`          npm run gp -- get clusters --project ${labProject}     and: npm run break -- store-berlin, then watch it heal`);
  say('          Ctrl-C stops everything; the next start finds it all again');
};

await main();
