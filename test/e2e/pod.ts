import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { LightCluster } from '../lab/light.ts';

interface Variable {
  name: string;
  value?: string;
  valueFrom?: { fieldRef: { fieldPath: string } };
}
interface Template {
  spec: {
    serviceAccountName: string;
    containers: { command: string[]; env: Variable[]; volumeMounts: { name: string; mountPath: string }[] }[];
    volumes: { name: string; configMap?: { name: string }; secret?: { secretName: string } }[];
  };
}

const namespace = 'groundplane-agent';

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
};

export interface Pod {
  process: ChildProcess;
  name: string;
  probe: (path: string) => Promise<number>;
  /** Ends it as the kubelet does, and waits. */
  stop: (signal?: NodeJS.Signals) => Promise<void>;
  log: () => string;
  isOver: () => boolean;
  /** The same container again, on the same volumes. */
  restart: () => Promise<Pod>;
}

/**
 * There is no kubelet in the light cluster: this reads the deployment that stands there and runs its container as a process, with what a kubelet would give it:
 * volumes, variables, and a token of its service account, for which the API server enforces the roles of the manifest.
 */
export const startPod = async (light: LightCluster, folder: string, name: string): Promise<Pod> => {
  const read = async (...args: string[]): Promise<string> => {
    const done = await light.kubectl(['-n', namespace, ...args]);
    if (!done.ok) throw new Error(done.failure.message);
    return done.value;
  };
  const { template } = (JSON.parse(await read('get', 'deployment', 'groundplane-agent', '-o', 'json')) as { spec: { template: Template } }).spec;
  const [container] = template.spec.containers;
  if (container === undefined) throw new Error('no container');
  const root = join(folder, name);
  const places = new Map(container.volumeMounts.map((mount) => [mount.mountPath, join(root, mount.name)]));
  for (const mount of container.volumeMounts) {
    const place = join(root, mount.name);
    mkdirSync(place, { recursive: true });
    const volume = template.spec.volumes.find((item) => item.name === mount.name);
    const source =
      volume?.configMap === undefined
        ? volume?.secret === undefined
          ? undefined
          : ['secret', volume.secret.secretName]
        : ['configmap', volume.configMap.name];
    if (source === undefined) continue;
    const { data } = JSON.parse(await read('get', ...source, '-o', 'json')) as { data: Record<string, string> };
    for (const [key, value] of Object.entries(data)) writeFileSync(join(place, key), source[0] === 'secret' ? Buffer.from(value, 'base64') : value);
  }
  const account = join(root, 'account');
  mkdirSync(account, { recursive: true });
  writeFileSync(join(account, 'ca.crt'), light.caPem);
  writeFileSync(join(account, 'token'), await read('create', 'token', template.spec.serviceAccountName, '--duration=20m'));
  const placed = (text: string): string => [...places].reduce((done, [path, place]) => done.replaceAll(path, place), text);
  const server = new URL(light.server);
  const port = await freePort();
  const env = Object.fromEntries(container.env.map((item) => [item.name, item.valueFrom === undefined ? placed(item.value ?? '') : name]));
  const child = spawn(process.execPath, container.command.slice(1).map(placed), {
    env: {
      ...env,
      KUBERNETES_SERVICE_HOST: server.hostname,
      KUBERNETES_SERVICE_PORT: server.port,
      GROUNDPLANE_SERVICE_ACCOUNT: account,
      GROUNDPLANE_PROBE_PORT: String(port),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (log += text));
  const closed = new Promise<void>((done) => child.on('close', () => done()));
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    child.kill(signal);
    await closed;
  };
  return {
    process: child,
    name,
    stop,
    log: () => log,
    isOver: () => child.exitCode !== null || child.signalCode !== null,
    probe: async (path) =>
      fetch(`http://127.0.0.1:${port}${path}`).then(
        (answer) => answer.status,
        () => 0,
      ),
    restart: async () => {
      await stop();
      return startPod(light, folder, name);
    },
  };
};

/** A pod that is deleted takes its volumes along. */
export const removePod = async (pod: Pod, folder: string, signal?: NodeJS.Signals): Promise<void> => {
  await pod.stop(signal);
  rmSync(join(folder, pod.name), { recursive: true, force: true });
};
