import { hkdfSync } from 'node:crypto';
import { initConfig, joinConfig } from '@groundplane/protocol/distribution/kubeadm-config';
import { kubeVipManifest } from '@groundplane/protocol/distribution/kube-vip';
import { versionTag } from '@groundplane/protocol/distribution/spec';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { Distribution, DistributionSetup, KeptFile, MachineState } from '../port/distribution.ts';
import type { Tools } from '../port/tools.ts';
import type { CommandResult } from '../system/command.ts';
import { certificatesIn, isReadable, lifeLeft, publicKeyHash } from './certificates.ts';
import { keptPaths, manifestPath, manifestVersion } from './kubeadm-files.ts';
import { compareKept, restoreKept } from './kept.ts';
import { hasProxy } from './service-path.ts';
import { createUnits } from './units.ts';
import { snapshotFolder, createSnapshots } from './snapshots.ts';

const adminConfig = '/etc/kubernetes/admin.conf';
/** Made by init only, on the host that makes the cluster. */
const superAdminConfig = '/etc/kubernetes/super-admin.conf';
const nodeConfig = '/etc/kubernetes/kubelet.conf';
const nodeCertificate = '/var/lib/kubelet/pki/kubelet-client-current.pem';
/** Ours: what kubeadm is called with. It holds secrets while it is there. */
const workFolder = '/etc/groundplane/kubeadm';
const longMs = 15 * 60_000;
const element = 'kubeadm';

/** What an attempt that was cut leaves behind; a second one finds it and goes on. */
const leftBehind = ['FileAvailable', 'DirAvailable', 'Port'].map((check) => new RegExp(`${check}-[-A-Za-z0-9_.]+`, 'g'));

/** The lines of kubeadm that say what went wrong; the rest is progress. */
const words = (output: { stdout: string; stderr: string }): string => {
  const lines = `${output.stdout}\n${output.stderr}`.split('\n').map((line) => line.trim());
  const telling = lines.filter(
    (line) => /error|fatal|fail|cannot|timed out|refused|denied|not found/i.test(line) && !/To see the stack trace|\[WARNING|grpc: addrConn/.test(line),
  );
  return (telling.length > 0 ? telling : lines.filter((line) => line !== '')).slice(-6).join(' / ').slice(0, 1_200);
};

/**
 * The key under which certificates are shared with a joining control plane (AES-256, as hex). Each upload replaces the one before, so it has to be the same for all
 * invitations, whoever writes them; and only who could make certificates anyway can know it.
 */
const certificateKeyFrom = (caKey: string): string => Buffer.from(hkdfSync('sha256', caKey, '', 'groundplane certificate key 1', 32)).toString('hex');

/** What kube-proxy's configuration is made of. */
const proxyPart = ({ spec }: DistributionSetup): string => JSON.stringify([spec.proxy, spec.config.proxy ?? '', spec.network.podCidrs]);

export const kubeadmDistribution = (deps: { tools: Tools; clock: Clock }): Distribution => {
  const { tools, clock } = deps;
  const units = createUnits(tools, ['containerd.service', 'kubelet.service']);
  const snapshots = createSnapshots({ tools, clock, adminConfig });

  const judged = (result: CommandResult, args: readonly string[]): Result<string> => {
    if (result.code === 0) return ok(result.stdout);
    if (result.code === 127 && /ENOENT/.test(result.stderr))
      return fail(
        'blocked',
        'program-missing',
        element,
        'there is no kubeadm on this host. Give the layer its content (gp kubernetes upload), or install it by the OS layer',
      );
    const text = words(result);
    if (
      /couldn't validate the identity|invalid bootstrap token|token id .* is invalid|Unauthorized|certificate key|decoding secret data with provided key/i.test(
        text,
      )
    )
      return fail('retry', 'join-refused', element, text);
    return fail('retry', 'kubernetes-failed', element, `kubeadm ${args.slice(0, 3).join(' ')}: ${text}`);
  };

  const ran = async (args: readonly string[], timeoutMs = longMs): Promise<Result<string>> => judged(await tools.run(element, args, { timeoutMs }), args);

  /** Checks that say only that an earlier attempt was here are passed over; everything else stops kubeadm, unless the profile says otherwise. */
  const preflight = async (setup: DistributionSetup, args: readonly string[]): Promise<Result<string>> => {
    const ignored = [...setup.spec.config.ignoreErrors];
    const with_ = (more: readonly string[]): string[] => (more.length === 0 ? [...args] : [...args, `--ignore-preflight-errors=${more.join(',')}`]);
    const first = await tools.run(element, with_(ignored), { timeoutMs: longMs });
    const found = leftBehind.flatMap((pattern) => `${first.stdout}\n${first.stderr}`.match(pattern) ?? []);
    const isStopped = first.code !== 0 && /\[preflight\] Some fatal errors/.test(`${first.stdout}${first.stderr}`);
    if (!isStopped || found.length === 0) return judged(first, args);
    return ran(with_([...ignored, ...new Set(found)]));
  };

  const withConfig = async <T>(name: string, text: string, work: (path: string) => Promise<T>): Promise<T> => {
    const path = `${workFolder}/${name}.yaml`;
    await tools.write(path, text, '0600');
    try {
      return await work(path);
    } finally {
      await tools.remove(path);
    }
  };

  /** Lets the address of the API server live on the control planes, where the cluster asks for that. */
  const announce = async ({ identity }: DistributionSetup, kubeconfig: string): Promise<void> => {
    if (identity.vipImage === undefined) return;
    await tools.write(manifestPath('kube-vip'), kubeVipManifest(identity.endpoint, identity.endpointPort, identity.vipImage, kubeconfig), '0600');
  };

  const look: Distribution['look'] = async ({ spec, role }, kept) => {
    const { broken, renewed, now } = await compareKept(tools, kept);
    // Certificates of authorities live ten years and cannot be renewed in place.
    const leaves = [...now].filter(([path]) => !/\/(ca|front-proxy-ca)\.crt$/.test(path));
    const lives = leaves.flatMap(([, text]) => certificatesIn(text).map((item) => lifeLeft(item, clock.wallMs())));
    // The kubelet renews its own one in the last fifth; it is over only when the host was away for long.
    const own = certificatesIn((await tools.read(nodeCertificate)) ?? '').map((item) => lifeLeft(item, clock.wallMs()));
    if (own.some((left) => left === 0)) lives.push(0);
    const manifest = role === 'control-plane' ? await tools.read(manifestPath('kube-apiserver')) : undefined;
    const traces = [nodeConfig, adminConfig, '/var/lib/kubelet/config.yaml', '/etc/kubernetes/pki/ca.crt', '/etc/kubernetes/bootstrap-kubelet.conf'];
    const found = await Promise.all(traces.map((path) => tools.read(path)));
    const service = await units.state('kubelet.service');
    const state: MachineState = {
      hasTraces: found.some((text) => text !== undefined),
      controlPlaneVersion: manifest === undefined ? undefined : manifestVersion(manifest),
      kubeletVersion: await units.programVersion('kubelet'),
      isStale: service.isStale,
      services: service.isRunning ? 'running' : 'stopped',
      certificates: lives.length === 0 ? undefined : { left: Math.min(...lives) },
      broken,
      renewed,
      hasProxy: service.isRunning && hasProxy(spec),
      snapshotAgeMs: role === 'control-plane' ? await snapshots.ageMs(spec.snapshots.everyHours) : undefined,
    };
    return ok(state);
  };

  const upgradeCluster = async (setup: DistributionSetup, before: DistributionSetup | undefined): Promise<Result<void>> => {
    const config = initConfig(setup.spec, setup.identity, setup.cluster);
    if (!config.ok) return config;
    return withConfig('cluster', config.value, async (path) => {
      const told = await ran(['init', 'phase', 'upload-config', 'all', '--config', path, '--kubeconfig', adminConfig]);
      if (!told.ok) return told;
      const ignored = setup.spec.config.ignoreErrors;
      const applied = await ran([
        'upgrade',
        'apply',
        versionTag(setup.spec.version),
        '--yes',
        // Going on after a cut, or a new configuration of the same version.
        '--force',
        '--kubeconfig',
        adminConfig,
        ...(ignored.length === 0 ? [] : [`--ignore-preflight-errors=${ignored.join(',')}`]),
      ]);
      if (!applied.ok) return applied;
      // The upgrade itself rolls kube-proxy with the configuration that the cluster has; a second roll on its heels would serve nobody.
      const isSame = setup.spec.proxy === 'none' || (before !== undefined && proxyPart(setup) === proxyPart(before));
      const proxy = isSame ? ok('') : await ran(['init', 'phase', 'addon', 'kube-proxy', '--config', path, '--kubeconfig', adminConfig]);
      return proxy.ok ? ok(undefined) : proxy;
    });
  };

  return {
    adminConfig,
    nodeConfig,
    hasSharedConfig: true,
    look,
    keep: async (role) => {
      const kept: Record<string, KeptFile> = {};
      for (const [path, rule] of keptPaths(role)) {
        const content = await tools.read(path);
        if (content !== undefined && isReadable(path, content)) kept[path] = { content, rule, mode: /\.(crt|pub)$/.test(path) ? '0644' : '0600' };
      }
      return ok(kept);
    },
    repair: async (kept, parts) => {
      await restoreKept(tools, kept, parts);
      return ok(undefined);
    },
    init: async (setup) => {
      const config = initConfig(setup.spec, setup.identity, setup.cluster);
      if (!config.ok) return config;
      await announce(setup, superAdminConfig);
      const done = await withConfig('init', config.value, (path) => preflight(setup, ['init', '--config', path]));
      if (!done.ok) return done;
      await announce(setup, adminConfig);
      return ok(undefined);
    },
    join: async (setup, secrets) => {
      const config = joinConfig(setup.identity, setup.role, secrets);
      if (setup.role === 'control-plane') await announce(setup, adminConfig);
      const done = await withConfig('join', config, (path) => preflight(setup, ['join', '--config', path]));
      return done.ok ? ok(undefined) : done;
    },
    startedAtMs: () => units.startedAtMs('kubelet.service'),
    start: (restart) => units.start(restart ? ['kubelet.service'] : []),
    upgrade: async (setup, isFirst, before) => {
      if (isFirst) return upgradeCluster(setup, before);
      const ignored = setup.spec.config.ignoreErrors;
      const done = await ran(['upgrade', 'node', ...(ignored.length === 0 ? [] : [`--ignore-preflight-errors=${ignored.join(',')}`])]);
      return done.ok ? ok(undefined) : done;
    },
    // Its pod and not its container: the new one knows nothing of what the old one believed, and comes with the configuration that the cluster has now.
    healServicePath: async ({ role, identity }) => {
      const kubeconfig = role === 'control-plane' ? adminConfig : nodeConfig;
      const own = ['--namespace', 'kube-system', '--selector', 'k8s-app=kube-proxy', '--field-selector', `spec.nodeName=${identity.name}`];
      const done = await tools.run('kubectl', ['--kubeconfig', kubeconfig, '--request-timeout', '20s', 'delete', 'pods', ...own, '--wait=false'], {
        timeoutMs: 60_000,
      });
      return done.code === 0 ? ok(undefined) : fail('retry', 'kubernetes-failed', 'kube-proxy', `cannot be started anew: ${words(done)}`);
    },
    renewCertificates: async (setup) => {
      // A worker's only certificate is the kubelet's, which it renews itself; one that is over needs a new invitation.
      if (setup.role === 'worker') return ok(undefined);
      const renewed = await ran(['certs', 'renew', 'all']);
      if (!renewed.ok) return renewed;
      const own = certificatesIn((await tools.read(nodeCertificate)) ?? '');
      if (own.some((item) => lifeLeft(item, clock.wallMs()) === 0)) {
        const config = initConfig(setup.spec, setup.identity, setup.cluster);
        if (!config.ok) return config;
        await tools.remove(nodeConfig);
        const made = await withConfig('renew', config.value, (path) => ran(['init', 'phase', 'kubeconfig', 'kubelet', '--config', path]));
        if (!made.ok) return made;
        await tools.remove(nodeCertificate);
      }
      return units.restartStaticPods(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map(manifestPath), clock.wallMs());
    },
    saveDatastore: (setup, keep) => snapshots.save(setup.identity.name, keep),
    wipe: async (_, isLast) => {
      const done = await ran(['reset', '--force', ...(isLast ? ['--skip-phases=remove-etcd-member'] : [])]);
      if (!done.ok && done.failure.code !== 'program-missing') return done;
      for (const path of ['/var/lib/etcd', '/var/lib/kubelet/config.yaml', '/var/lib/kubelet/pki', '/etc/kubernetes', workFolder, snapshotFolder])
        await tools.remove(path);
      // Its content, not the folder: containerd watches it, and ends when it goes away.
      await tools.run('find', ['/etc/cni/net.d', '-mindepth', '1', '-delete']);
      for (const link of ['cni0', 'kube-ipvs0', 'flannel.1']) await tools.run('ip', ['link', 'delete', link]);
      return units.stop(['kubelet.service']);
    },
    invite: async (role) => {
      const token = await ran(['token', 'create', '--ttl', '2h', '--kubeconfig', adminConfig], 120_000);
      if (!token.ok) return token;
      const hash = publicKeyHash((await tools.read('/etc/kubernetes/pki/ca.crt')) ?? '');
      if (hash === undefined) return fail('retry', 'kubernetes-failed', element, 'the certificate of the cluster cannot be read');
      const secrets = { token: token.value.trim().split('\n').at(-1) ?? '', caHashes: [hash] };
      if (role === 'worker') return ok(secrets);
      const certificateKey = certificateKeyFrom((await tools.read('/etc/kubernetes/pki/ca.key')) ?? '');
      const shared = await ran(['init', 'phase', 'upload-certs', '--upload-certs', '--certificate-key', certificateKey, '--kubeconfig', adminConfig], 120_000);
      return shared.ok ? ok({ ...secrets, certificateKey }) : shared;
    },
    drain: async (node, timeoutMs) => {
      const args = ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--force', `--timeout=${Math.ceil(timeoutMs / 1000)}s`];
      const result = await tools.run('kubectl', ['--kubeconfig', adminConfig, ...args], { timeoutMs: timeoutMs + 30_000 });
      return result.code === 0 ? ok(undefined) : fail('retry', 'drain-blocked', `node ${node}`, `its pods cannot be moved away yet: ${words(result)}`);
    },
    forgetServer: (node) => snapshots.forgetMember(node),
  };
};
