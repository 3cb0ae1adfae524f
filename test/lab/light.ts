import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { get as httpsGet } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { ensureBinaries, type LabBinaries } from './build.ts';
import { ensureServiceAccountKey, ensureTokens, firstObjects, kubeconfigText, writeTokenFile, type Identity, type Tokens } from './files.ts';
import { lastLines, startPart, type Part } from './process.ts';
import { labStages } from './stages.ts';

export interface LightOptions {
  /** Everything of this lab lives here; remove it to clean up. A folder used before continues with its data. */
  dir: string;
  /** Also run controller-manager, scheduler and kwok, so that workloads become ready. */
  controllers?: boolean;
  /** Fake Ready nodes (only with controllers); default 3. */
  kwokNodes?: number;
  /** Who else may come in, as in a cluster of a cloud: whom this address knows by a token (TokenReview), and whom this authority signed (PEM). */
  admits?: { tokenReview: string; clientCa?: string };
  /** Stops the lab. */
  signal?: AbortSignal;
  progress?: (line: string) => void;
}

export interface LightCluster {
  server: string;
  caPem: string;
  adminToken: string;
  tokens: Tokens;
  kubeconfigPath: string;
  /** Kubeconfig of the admin. */
  kubeconfig: string;
  kubeconfigOf(identity: Identity): string;
  pids: Record<string, number>;
  binaries: LabBinaries;
  /** Runs kubectl as admin; the result is its standard output. */
  kubectl(args: string[], input?: string): Promise<Result<string>>;
  /** Kills the API server, as a power cut would. */
  pause(): Promise<void>;
  /** Starts it again on the same port and waits until it is ready. */
  resume(): Promise<Result<void>>;
  stop(): Promise<void>;
}

const element = 'Kubernetes lab';
const readyMsMax = 90_000;
const startAttemptsMax = 5;

/** Free when asked; somebody else may take them before we do, hence the attempts. */
const freePorts = async (count: number): Promise<number[]> => {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((done, failed) => server.once('error', failed).listen(0, '127.0.0.1', done));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(async (server) => await new Promise((done) => server.close(done))));
  return ports;
};

/** What is true for one start of a lab. */
interface Setup {
  dir: string;
  binaries: LabBinaries;
  tokens: Tokens;
  tokenFile: string;
  serviceAccountKey: string;
  etcdPort: number;
  peerPort: number;
  apiPort: number;
  controllers: boolean;
  admission: string[];
}

const etcdArgs = ({ dir, etcdPort, peerPort }: Setup): string[] => {
  const client = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const urls = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
  // A lab is thrown away after a power cut, so it need not pay for surviving one.
  return ['--name', 'lab', '--data-dir', join(dir, 'etcd'), '--unsafe-no-fsync', '--log-level', 'warn', ...urls, '--initial-cluster', `lab=${peer}`];
};

const apiServerArgs = ({ dir, etcdPort, apiPort, serviceAccountKey, tokenFile, controllers, admission }: Setup): string[] => [
  'kube-apiserver',
  `--etcd-servers=http://127.0.0.1:${etcdPort}`,
  `--secure-port=${apiPort}`,
  '--bind-address=127.0.0.1',
  '--advertise-address=127.0.0.1',
  `--cert-dir=${join(dir, 'certificates')}`,
  '--service-cluster-ip-range=10.96.0.0/16',
  '--service-account-issuer=https://kubernetes.default.svc',
  `--service-account-key-file=${serviceAccountKey}`,
  `--service-account-signing-key-file=${serviceAccountKey}`,
  '--authorization-mode=RBAC',
  `--token-auth-file=${tokenFile}`,
  // Without a controller-manager no namespace ever gets its service account, and pods would be refused for it.
  ...(controllers ? [] : ['--disable-admission-plugins=ServiceAccount']),
  '--allow-privileged',
  '--endpoint-reconciler-type=none',
  '--profiling=false',
  ...admission,
];

/** Flags for those who come in by what the lab does not know itself. A review is asked for again after a second; the API server keeps a good one for ten anyway. */
const writeAdmission = async (dir: string, admits: LightOptions['admits']): Promise<string[]> => {
  if (admits === undefined) return [];
  const [config, clientCa] = [join(dir, 'token-review.kubeconfig'), join(dir, 'client-ca.crt')];
  await writeFile(config, kubeconfigText(admits.tokenReview, '', 'api-server', ''), { mode: 0o600 });
  if (admits.clientCa !== undefined) await writeFile(clientCa, admits.clientCa);
  return [
    `--authentication-token-webhook-config-file=${config}`,
    '--authentication-token-webhook-version=v1',
    '--authentication-token-webhook-cache-ttl=1s',
    ...(admits.clientCa === undefined ? [] : [`--client-ca-file=${clientCa}`]),
  ];
};

/** Settles to whether the API server says it is ready, with its certificate verified. */
const isReady = async (apiPort: number, caPem: string, token: string): Promise<boolean> =>
  await new Promise((done) => {
    const request = httpsGet(
      { host: '127.0.0.1', port: apiPort, path: '/readyz', ca: caPem, headers: { authorization: `Bearer ${token}` }, agent: false, timeout: 2000 },
      (response) => {
        response.resume();
        response.once('end', () => done(response.statusCode === 200));
      },
    );
    request.once('timeout', () => request.destroy());
    request.once('error', () => done(false));
  });

const readCertificate = (dir: string): string | undefined => {
  try {
    return readFileSync(join(dir, 'certificates', 'apiserver.crt'), 'utf8');
  } catch {
    return undefined;
  }
};

/** Waits for readiness; a part that dies meanwhile ends the wait with its last words. */
const waitReady = async (setup: Setup, parts: Part[], signal: AbortSignal | undefined): Promise<Result<string>> => {
  const deadline = performance.now() + readyMsMax;
  while (performance.now() < deadline) {
    if (signal?.aborted === true) return fail('retry', 'lab-stopped', element, 'The start was cancelled.');
    const dead = parts.find((part) => !part.isAlive());
    if (dead !== undefined) return fail('retry', 'lab-start-failed', element, `${dead.name} ended by itself. Its last lines:\n${await lastLines(dead.log)}`);
    const caPem = readCertificate(setup.dir);
    if (caPem !== undefined && (await isReady(setup.apiPort, caPem, setup.tokens.admin))) return ok(caPem);
    await delay(50);
  }
  const log = parts.at(-1)?.log ?? '';
  return fail('retry', 'lab-start-failed', element, `The API server was not ready after ${readyMsMax / 1000} s. Its last lines:\n${await lastLines(log)}`);
};

const startApiServer = async (setup: Setup): Promise<Part> =>
  await startPart('kube-apiserver', join(setup.dir, 'kube-apiserver.log'), setup.binaries.kube, apiServerArgs(setup));

const startControllers = async (setup: Setup, kubeconfigPath: string): Promise<Part[]> => {
  const { dir, binaries } = setup;
  const stages = join(dir, 'kwok-stages.yaml');
  await writeFile(stages, labStages(await readFile(binaries.kwokStages, 'utf8')));
  const common = [`--kubeconfig=${kubeconfigPath}`, '--leader-elect=false', '--secure-port=0'];
  const manager = [
    'kube-controller-manager',
    ...common,
    `--service-account-private-key-file=${setup.serviceAccountKey}`,
    `--root-ca-file=${join(dir, 'certificates', 'apiserver.crt')}`,
  ];
  const kwok = [
    `--kubeconfig=${kubeconfigPath}`,
    '--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake',
    '--node-lease-duration-seconds=40',
    `--config=${stages}`,
  ];
  return await Promise.all([
    startPart('kube-controller-manager', join(dir, 'kube-controller-manager.log'), binaries.kube, manager),
    startPart('kube-scheduler', join(dir, 'kube-scheduler.log'), binaries.kube, ['kube-scheduler', ...common]),
    startPart('kwok', join(dir, 'kwok.log'), binaries.kwok, kwok),
  ]);
};

/** In this order: an API server that loses etcd first takes more than a minute to end. */
const stopParts = async (etcd: Part, apiServer: Part, others: Part[]): Promise<void> => {
  await Promise.all(others.map(async (part) => await part.end('SIGKILL')));
  await apiServer.end('SIGKILL');
  await etcd.end('SIGTERM');
};

const runKubectl = async (kube: string, kubeconfigPath: string, args: string[], input?: string): Promise<Result<string>> =>
  await new Promise((done) => {
    const child = execFile(
      kube,
      ['kubectl', '--kubeconfig', kubeconfigPath, ...args],
      { timeout: readyMsMax, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) =>
        done(error === null ? ok(stdout) : fail('retry', 'lab-kubectl', `kubectl ${args.join(' ')}`.slice(0, 200), stderr.trim() || error.message)),
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });

const startPair = async (
  base: Omit<Setup, 'etcdPort' | 'peerPort' | 'apiPort'>,
  signal: AbortSignal | undefined,
): Promise<Result<{ setup: Setup; etcd: Part; apiServer: Part; caPem: string }>> => {
  for (let attempt = 1; ; attempt += 1) {
    const [etcdPort = 0, peerPort = 0, apiPort = 0] = await freePorts(3);
    const setup = { ...base, etcdPort, peerPort, apiPort };
    const etcd = await startPart('etcd', join(base.dir, 'etcd.log'), base.binaries.etcd, etcdArgs(setup));
    const apiServer = await startApiServer(setup);
    const ready = await waitReady(setup, [etcd, apiServer], signal);
    if (ready.ok) return ok({ setup, etcd, apiServer, caPem: ready.value });
    await stopParts(etcd, apiServer, []);
    const isPortTaken = /address already in use/.test(ready.failure.message);
    if (!isPortTaken || attempt >= startAttemptsMax) return ready;
  }
};

const prepare = async (options: LightOptions): Promise<Result<Omit<Setup, 'etcdPort' | 'peerPort' | 'apiPort'>>> => {
  const binaries = await ensureBinaries(options.progress);
  if (!binaries.ok) return binaries;
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true });
  const tokens = await ensureTokens(dir);
  const [tokenFile, serviceAccountKey, admission] = await Promise.all([
    writeTokenFile(dir, tokens),
    ensureServiceAccountKey(dir),
    writeAdmission(dir, options.admits),
  ]);
  return ok({ dir, binaries: binaries.value, tokens, tokenFile, serviceAccountKey, controllers: options.controllers === true, admission });
};

/** Nodes and role bindings; then waits until nodes are Ready and the default service account exists. */
const populate = async (cluster: Pick<LightCluster, 'kubectl'>, controllers: boolean, nodes: number): Promise<Result<unknown>> => {
  const list = { apiVersion: 'v1', kind: 'List', items: firstObjects(controllers ? nodes : 0) };
  const applied = await cluster.kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(list));
  if (!applied.ok || !controllers) return applied;
  const account = await cluster.kubectl(['wait', '--for=create', 'serviceaccount/default', '-n', 'default', '--timeout=60s']);
  if (!account.ok || nodes === 0) return account;
  return await cluster.kubectl(['wait', '--for=condition=Ready', 'node', '--all', '--timeout=60s']);
};

/**
 * Starts etcd and a Kubernetes API server on loopback ports of its own choice; with `controllers` also everything that makes workloads ready.
 * Failures: those of `ensureBinaries`, `lab-start-failed` (with the last lines of the log), `lab-kubectl`, `lab-stopped`.
 */
export const startLight = async (options: LightOptions): Promise<Result<LightCluster>> => {
  const prepared = await prepare(options);
  if (!prepared.ok) return prepared;
  const pair = await startPair(prepared.value, options.signal);
  if (!pair.ok) return pair;
  const { setup, etcd, caPem } = pair.value;
  let apiServer = pair.value.apiServer;
  const server = `https://127.0.0.1:${setup.apiPort}`;
  const kubeconfigOf = (identity: Identity): string => kubeconfigText(server, caPem, identity, setup.tokens[identity]);
  const kubeconfigPath = join(setup.dir, 'kubeconfig');
  await writeFile(kubeconfigPath, kubeconfigOf('admin'), { mode: 0o600 });
  const others = setup.controllers ? await startControllers(setup, kubeconfigPath) : [];
  const pids = Object.fromEntries([etcd, apiServer, ...others].map((part) => [part.name, part.pid]));
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => await (stopped ??= stopParts(etcd, apiServer, others));
  options.signal?.addEventListener('abort', () => void stop(), { once: true });
  const cluster: LightCluster = {
    server,
    caPem,
    adminToken: setup.tokens.admin,
    tokens: setup.tokens,
    kubeconfigPath,
    kubeconfig: kubeconfigOf('admin'),
    kubeconfigOf,
    pids,
    binaries: setup.binaries,
    kubectl: async (args, input) => await runKubectl(setup.binaries.kube, kubeconfigPath, args, input),
    pause: async () => await apiServer.end('SIGKILL'),
    resume: async () => {
      apiServer = await startApiServer(setup);
      pids[apiServer.name] = apiServer.pid;
      const ready = await waitReady(setup, [etcd, apiServer], options.signal);
      return ready.ok ? ok(undefined) : ready;
    },
    stop,
  };
  const populated = await populate(cluster, setup.controllers, options.kwokNodes ?? 3);
  if (populated.ok) return ok(cluster);
  await stop();
  return populated;
};
