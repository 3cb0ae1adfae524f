import { rancherConfig } from '@groundplane/protocol/distribution/rancher-config';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { sleep, type Clock } from '../port/clock.ts';
import type { Distribution, DistributionSetup, KeptFile } from '../port/distribution.ts';
import type { Tools } from '../port/tools.ts';
import { certificatesIn, lifeLeft } from './certificates.ts';
import { compareKept, restoreKept } from './kept.ts';
import { rancherLayout, type RancherName } from './rancher-layout.ts';
import { hasProxy } from './service-path.ts';
import { createUnits } from './units.ts';

const startMs = 10 * 60_000;
const pollMs = 2_000;

/** What the journal says when waiting is of no use. k3s and rke2 retry all of these for ever, and never end by themselves. */
const refusals: readonly (readonly [RegExp, 'join-refused' | 'kubernetes-refused', string])[] = [
  [
    /token CA hash does not match|invalid token format|failed to validate token|token is not valid|Unauthorized|401 Unauthorized/i,
    'join-refused',
    'the cluster does not take the token',
  ],
  [
    /Node password rejected|hash does not match|duplicate hostname/i,
    'kubernetes-refused',
    'the cluster knows another machine under this name. It lets this one in when the node and its secret <name>.node-password.k3s are deleted',
  ],
  [
    /critical configuration mismatched|bootstrap data already found and encrypted with different token/i,
    'kubernetes-refused',
    'its settings are not those of the cluster',
  ],
  [/flag provided but not defined|yaml: |failed to parse/i, 'kubernetes-refused', 'it cannot read its configuration'],
];

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 600) ?? '';

/**
 * k3s and rke2: one program and one configuration file on each host. Paths, units and files are those of the official installation, so that people and support
 * tools find what they know. Success is never believed from systemd: its word comes before the node is ready, and a bad join waits for ever.
 */
export const rancherDistribution = (name: RancherName, deps: { tools: Tools; clock: Clock }): Distribution => {
  const { tools, clock } = deps;
  const layout = rancherLayout(name);
  const unitOf = (role: DistributionSetup['role']): string => layout.units[role];
  const both = createUnits(tools, []);

  const isServer = async (): Promise<boolean> => (await tools.read(layout.unitFile('control-plane'))) !== undefined;
  const kubectl = (args: readonly string[], timeoutMs = 60_000) =>
    tools.run(layout.kubectl[0] ?? '', [...layout.kubectl.slice(1), '--kubeconfig', layout.adminConfig, ...args], { timeoutMs });

  /** Waits by our own clock, and reads the journal for what will never pass. */
  const awaitRunning = async (role: DistributionSetup['role'], sinceMs: number): Promise<Result<void>> => {
    const unit = unitOf(role);
    const proof = role === 'control-plane' ? layout.adminConfig : layout.nodeConfig;
    const untilMs = clock.monotonicMs() + startMs;
    let words = '';
    while (clock.monotonicMs() < untilMs) {
      const active = await tools.run('systemctl', ['is-active', unit]);
      if (active.stdout.trim() === 'active' && (await tools.read(proof)) !== undefined) return ok(undefined);
      const journal = await tools.run('journalctl', [
        '--unit',
        unit,
        '--no-pager',
        '--output',
        'cat',
        '--lines',
        '60',
        '--since',
        `@${Math.floor(sinceMs / 1000)}`,
      ]);
      words = journal.stdout;
      for (const [pattern, code, why] of refusals) {
        const line = words.split('\n').find((text) => pattern.test(text));
        if (line !== undefined) return fail(code === 'join-refused' ? 'retry' : 'blocked', code, name, `${why}: ${line.slice(0, 400)}`);
      }
      await sleep(clock, pollMs);
    }
    return fail('retry', 'kubernetes-failed', name, `did not come up in ${startMs / 60_000} minutes: ${lastLine(words)}`);
  };

  const configure = async (setup: DistributionSetup, secret: string | undefined): Promise<Result<void>> => {
    const version = await both.programVersion(name);
    if (version === undefined)
      return fail(
        'blocked',
        'program-missing',
        name,
        `there is no ${name} on this host. Give the layer its content (gp kubernetes upload), or install it by the OS layer`,
      );
    if (setup.identity.vipImage !== undefined)
      return fail(
        'blocked',
        'vip-unsupported',
        name,
        'an address that moves is there for kubeadm only. Give the cluster an external endpoint, or none: then each host finds a server by name',
      );
    const config = rancherConfig(setup.spec, setup.identity, setup.role, secret);
    if (!config.ok) return config;
    await tools.write(layout.configFile, config.value, '0600');
    await tools.write(layout.unitFile(setup.role), layout.unit(setup.role), '0644');
    const reloaded = await tools.run('systemctl', ['daemon-reload']);
    return reloaded.code === 0 ? ok(undefined) : fail('retry', 'kubernetes-failed', name, lastLine(reloaded.stderr));
  };

  const launch = async (role: DistributionSetup['role'], verb: 'start' | 'restart'): Promise<Result<void>> => {
    const sinceMs = clock.wallMs();
    for (const args of [
      ['enable', unitOf(role)],
      [verb, '--no-block', unitOf(role)],
    ]) {
      const done = await tools.run('systemctl', args);
      if (done.code !== 0) return fail('retry', 'kubernetes-failed', unitOf(role), lastLine(done.stderr));
    }
    return awaitRunning(role, sinceMs);
  };

  /** The secret that the configuration has already: only the rest of it changes. */
  const knownSecret = async (): Promise<string | undefined> => /^token: "?([^"\n]+)"?$/m.exec((await tools.read(layout.configFile)) ?? '')?.[1];

  const look: Distribution['look'] = async ({ spec, role }, kept) => {
    const { broken, renewed } = await compareKept(tools, kept);
    const lives: number[] = [];
    for (const path of layout.certificates(role)) lives.push(...certificatesIn((await tools.read(path)) ?? '').map((item) => lifeLeft(item, clock.wallMs())));
    const unit = await both.state(unitOf(role));
    const newest = (await tools.list(layout.snapshots))
      .filter((file) => file.startsWith('groundplane-'))
      .toSorted()
      .at(-1);
    const age = newest === undefined ? undefined : await tools.changedAtMs(`${layout.snapshots}/${newest}`);
    return ok({
      hasTraces:
        (await tools.read(layout.configFile)) !== undefined || (await tools.list(layout.data)).some((entry) => entry === 'server' || entry === 'agent'),
      controlPlaneVersion: undefined,
      kubeletVersion: await both.programVersion(name),
      isStale: await both.isOlderThan(unitOf(role), layout.program),
      services: unit.isRunning ? 'running' : 'stopped',
      certificates: lives.length === 0 ? undefined : { left: Math.min(...lives) },
      broken,
      renewed,
      hasProxy: unit.isRunning && hasProxy(spec),
      snapshotAgeMs: role === 'control-plane' ? (age === undefined ? spec.snapshots.everyHours * 7_200_000 : Math.abs(clock.wallMs() - age)) : undefined,
    });
  };

  return {
    adminConfig: layout.adminConfig,
    nodeConfig: layout.nodeConfig,
    hasSharedConfig: false,
    look,
    keep: async (role) => {
      const kept: Record<string, KeptFile> = {};
      for (const [path, rule] of layout.kept(role)) {
        const content = await tools.read(path);
        if (content !== undefined) kept[path] = { content, rule, mode: path.endsWith('.service') ? '0644' : '0600' };
      }
      return ok(kept);
    },
    repair: async (kept, parts) => {
      await restoreKept(tools, kept, parts);
      await tools.run('systemctl', ['daemon-reload']);
      return ok(undefined);
    },
    init: async (setup) => {
      const configured = await configure(setup, undefined);
      return configured.ok ? launch(setup.role, 'start') : configured;
    },
    join: async (setup, secrets) => {
      const configured = await configure(setup, secrets.token);
      return configured.ok ? launch(setup.role, 'restart') : configured;
    },
    startedAtMs: async () => both.startedAtMs(unitOf((await isServer()) ? 'control-plane' : 'worker')),
    start: async (restart) => launch((await isServer()) ? 'control-plane' : 'worker', restart ? 'restart' : 'start'),
    upgrade: async (setup) => configure(setup, await knownSecret()),
    // kube-proxy is a part of k3s itself, and one that rke2 writes at its start.
    healServicePath: ({ role }) => launch(role, 'restart'),
    renewCertificates: async (setup) => {
      const stopped = await tools.run('systemctl', ['stop', unitOf(setup.role)], { timeoutMs: 120_000 });
      if (stopped.code !== 0) return fail('retry', 'kubernetes-failed', unitOf(setup.role), lastLine(stopped.stderr));
      const rotated = await tools.run(layout.program, ['certificate', 'rotate'], { timeoutMs: 120_000 });
      const started = await launch(setup.role, 'start');
      return rotated.code === 0 ? started : fail('retry', 'kubernetes-failed', name, `certificate rotate: ${lastLine(rotated.stderr || rotated.stdout)}`);
    },
    saveDatastore: async (_, keep) => {
      const saved = await tools.run(layout.program, ['etcd-snapshot', 'save', '--name', 'groundplane'], { timeoutMs: 300_000 });
      if (saved.code !== 0) return fail('retry', 'kubernetes-failed', name, `etcd-snapshot save: ${lastLine(saved.stderr || saved.stdout)}`);
      await tools.run(layout.program, ['etcd-snapshot', 'prune', '--name', 'groundplane', '--snapshot-retention', String(keep)], { timeoutMs: 120_000 });
      return ok(undefined);
    },
    wipe: async () => {
      const stopped = await both.stop([layout.units['control-plane'], layout.units.worker]);
      if (!stopped.ok) return stopped;
      // Stopping the service leaves pods running; they go with their shims, mounts and networks.
      await tools.run('pkill', ['-9', '-f', `${layout.data}/data/[^/]*/bin/containerd-shim`]);
      await tools.run('sh', ['-c', layout.killPods], { timeoutMs: 120_000 });
      for (const path of layout.leftovers) await tools.remove(path);
      for (const link of ['cni0', 'flannel.1', 'flannel-v6.1', 'vxlan.calico']) await tools.run('ip', ['link', 'delete', link]);
      await tools.run('systemctl', ['daemon-reload']);
      return ok(undefined);
    },
    invite: async (role) => {
      if (role === 'control-plane') {
        const token = (await tools.read(layout.serverToken))?.trim();
        return token === undefined || token === '' ? fail('retry', 'kubernetes-failed', name, 'its token cannot be read') : ok({ token, caHashes: [] });
      }
      const made = await tools.run(layout.program, ['token', 'create', '--ttl', '2h', '--kubeconfig', layout.adminConfig], { timeoutMs: 60_000 });
      return made.code === 0
        ? ok({ token: lastLine(made.stdout), caHashes: [] })
        : fail('retry', 'kubernetes-failed', name, `token create: ${lastLine(made.stderr)}`);
    },
    drain: async (node, timeoutMs) => {
      const result = await kubectl(
        ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--force', `--timeout=${Math.ceil(timeoutMs / 1000)}s`],
        timeoutMs + 30_000,
      );
      return result.code === 0
        ? ok(undefined)
        : fail('retry', 'drain-blocked', `node ${node}`, `its pods cannot be moved away yet: ${lastLine(result.stderr)}`);
    },
    // The servers take a member out of the datastore when its node is deleted; the secret would keep a new machine of that name out.
    forgetServer: async (node) => {
      const gone = await kubectl(['delete', 'secret', '-n', 'kube-system', `${node}.node-password.${name}`, '--ignore-not-found']);
      return gone.code === 0 ? ok(undefined) : fail('retry', 'kubernetes-failed', `node ${node}`, lastLine(gone.stderr));
    },
  };
};
