import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from '@groundplane/protocol/api/client';
import { startChild, type Child } from './children.ts';
import { labProject, prepareLab } from './demo.ts';
import { startLight } from './light.ts';
import { missingForLab } from './prerequisite.ts';

/** `npm run lab`: hub and an agent against a real Kubernetes API server with controllers; its nodes are kwok's, so roll-outs really become ready or fail. */
const root = join(import.meta.dirname, '..', '..');
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const siteName = 'real-site';

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: { data: { type: 'string', default: '.groundplane-lab' }, port: { type: 'string', default: '7600' }, nodes: { type: 'string', default: '3' } },
  });
  const missing = await missingForLab();
  if (missing.length > 0) {
    process.stderr.write(`the real lab cannot run on this machine:\n${missing.map((text) => `  ${text}`).join('\n')}\nThe simulated one can: npm start\n`);
    process.exit(1);
  }
  const data = resolve(values.data);
  mkdirSync(join(data, 'kubernetes'), { recursive: true, mode: 0o700 });
  say('kubernetes  starting (the first time its parts are built from Go modules, which takes about ten minutes) …');
  const light = await startLight({
    dir: join(data, 'kubernetes'),
    controllers: true,
    kwokNodes: Number(values.nodes),
    progress: (line) => say(`            ${line}`),
  });
  if (!light.ok) {
    process.stderr.write(`${light.failure.element}: ${light.failure.message}\n`);
    process.exit(1);
  }
  const running: Child[] = [];
  const stop = async (code: number): Promise<void> => {
    say('stopping …');
    for (const child of running.toReversed()) await child.stop();
    await light.value.stop();
    process.exit(code);
  };
  process.once('SIGINT', () => void stop(0));
  process.once('SIGTERM', () => void stop(0));
  const keyFile = join(data, 'launcher.key');
  const hub = startChild(join(root, 'hub/src/main.ts'), ['--data', join(data, 'hub'), '--port', values.port, '--key-file', keyFile], {
    onError: (text) => process.stderr.write(text),
  });
  running.push(hub);
  const ready = await hub.ready;
  const url = String(ready['url']);
  const key = readFileSync(keyFile, 'utf8');
  const client = createClient({ baseUrl: url, fetch, headers: () => ({ authorization: `Bearer ${key}` }) });
  const { ticket, layers } = await prepareLab({ client, url, key });
  // The lab must not change this machine: files go below its folder, and kernel settings into plain files.
  const sys = join(data, 'host-sys');
  for (const [name, value] of [
    ['vm/swappiness', '60'],
    ['net/ipv4/ip_forward', '0'],
  ] as const) {
    mkdirSync(join(sys, name, '..'), { recursive: true });
    writeFileSync(join(sys, name), `${value}\n`);
  }
  const agent = startChild(
    join(root, 'agent/src/main.ts'),
    [
      '--data',
      join(data, 'agent'),
      '--root',
      join(data, 'host-root'),
      '--sysctl',
      sys,
      '--kubeconfig',
      light.value.kubeconfigPath,
      '--name',
      siteName,
      '--local-port',
      '0',
      '--ticket',
      ticket,
    ],
    { onError: (text) => process.stderr.write(text) },
  );
  running.push(agent);
  const local = String((await agent.ready)['local']);
  for (let turn = 0; turn < 100; turn += 1) {
    const made = await client.call('applyCluster', {
      params: { project: labProject, name: siteName },
      body: { spec: { profiles: [{ name: 'store', version: '1.0.0' }], variables: { storeName: siteName }, hosts: [siteName] } },
    });
    if (made.ok) break;
    if (turn === 99) throw new Error(`${made.failure.element}: ${made.failure.message}`);
    await new Promise((next) => setTimeout(next, 200));
  }
  say(`hub         ${url}`);
  if (typeof ready['setupLink'] === 'string') say(`set-up      ${ready['setupLink']}   (works once)`);
  say(`agent       ${local}   (its local page)`);
  say(`kubeconfig  ${light.value.kubeconfigPath}   (real API server; nodes are simulated by kwok)`);
  say(`cluster     ${siteName} in project ${labProject}, ${layers} layers`);
  say(`try         kubectl --kubeconfig ${light.value.kubeconfigPath} -n shop scale deployment web --replicas=0   and watch it come back`);
};

await main();
