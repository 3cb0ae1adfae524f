import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubernetesMemory } from '../observe/distribution.ts';
import { sleep, type Clock } from '../port/clock.ts';
import type { Tools } from '../port/tools.ts';
import { rancherLayout } from './rancher-layout.ts';
import { manifestPath } from './kubeadm-files.ts';
import { snapshotFolder } from './snapshots.ts';

const serverPods = ['kube-apiserver', 'etcd'] as const;
const asideFolder = '/etc/kubernetes/groundplane-restore';
const data = '/var/lib/etcd';
const stopMs = 120_000;
const readyMs = 300_000;
const agentUnit = 'groundplane-agent.service';

const failed = (what: string, text: string): Result<never> => fail('retry', 'kubernetes-failed', what, text.trim().slice(-600));

/** Where snapshots of this host's distribution lie. */
export const snapshotFolderOf = (memory: KubernetesMemory): string => {
  const { distribution } = memory.setup.spec;
  return distribution === 'kubeadm' ? snapshotFolder : rancherLayout(distribution).snapshots;
};

/** etcd and the API server stop when their manifests go, and start when they come back; everything else of the host stays as it is. */
const restoreKubeadm = async (tools: Tools, clock: Clock, memory: KubernetesMemory, file: string): Promise<Result<void>> => {
  const { name, address } = memory.setup.identity;
  const whole = await tools.run('etcdutl', ['snapshot', 'status', file], { timeoutMs: 300_000 });
  if (whole.code === 127)
    return fail('blocked', 'program-missing', 'etcdutl', 'is not on this host; it comes with the content of the Kubernetes layer, or from the etcd release');
  if (whole.code !== 0) return fail('fatal', 'snapshot-invalid', file, `is no whole snapshot: ${(whole.stderr || whole.stdout).trim().slice(-300)}`);
  for (const pod of serverPods) if ((await tools.read(manifestPath(pod))) !== undefined) await tools.move(manifestPath(pod), `${asideFolder}/${pod}.yaml`);
  const untilMs = clock.monotonicMs() + stopMs;
  for (;;) {
    const running = await tools.run('pgrep', ['-x', 'etcd']);
    if (running.code === 1) break;
    if (clock.monotonicMs() >= untilMs)
      return failed('etcd', 'does not stop; is the kubelet running? Start it (systemctl start kubelet) and run the command again');
    await sleep(clock, 1_000);
  }
  await tools.remove(`${data}/restored`);
  const peer = `https://${address.includes(':') ? `[${address}]` : address}:2380`;
  const names = ['--name', name, '--initial-cluster', `${name}=${peer}`, '--initial-advertise-peer-urls', peer];
  // Everybody who watches has seen later revisions than those of the snapshot: newer numbers and a compaction make all of them list again.
  const revisions = ['--bump-revision', '1000000000', '--mark-compacted'];
  const restored = await tools.run('etcdutl', ['snapshot', 'restore', file, '--data-dir', `${data}/restored`, ...names, ...revisions], { timeoutMs: 600_000 });
  if (restored.code !== 0) return failed(file, restored.stderr || restored.stdout);
  await tools.remove(`${data}/member.before`);
  await tools.run('mv', [`${data}/member`, `${data}/member.before`]);
  const moved = await tools.run('mv', [`${data}/restored/member`, `${data}/member`]);
  if (moved.code !== 0) return failed(data, moved.stderr);
  await tools.run('sync', ['-f', data]);
  await tools.remove(`${data}/restored`);
  for (const pod of ['etcd', 'kube-apiserver'] as const)
    if ((await tools.read(`${asideFolder}/${pod}.yaml`)) !== undefined) await tools.move(`${asideFolder}/${pod}.yaml`, manifestPath(pod));
  const readyBy = clock.monotonicMs() + readyMs;
  for (;;) {
    const ready = await tools.run('kubectl', ['--kubeconfig', '/etc/kubernetes/admin.conf', 'get', '--raw', '/readyz'], { timeoutMs: 15_000 });
    if (ready.code === 0) break;
    if (clock.monotonicMs() >= readyBy) return failed('kube-apiserver', `is not ready after the restore: ${ready.stderr}`);
    await sleep(clock, 2_000);
  }
  // It tells its state only when it changes, and the datastore knows an older one.
  const told = await tools.run('systemctl', ['restart', 'kubelet.service'], { timeoutMs: 120_000 });
  return told.code === 0 ? ok(undefined) : failed('kubelet.service', told.stderr);
};

const restoreRancher = async (tools: Tools, memory: KubernetesMemory, file: string): Promise<Result<void>> => {
  const layout = rancherLayout(memory.setup.spec.distribution === 'rke2' ? 'rke2' : 'k3s');
  const unit = layout.units['control-plane'];
  const stopped = await tools.run('systemctl', ['stop', unit], { timeoutMs: 180_000 });
  if (stopped.code !== 0) return failed(unit, stopped.stderr);
  const reset = await tools.run(layout.program, ['server', '--cluster-reset', `--cluster-reset-restore-path=${file}`], { timeoutMs: 900_000 });
  const started = await tools.run('systemctl', ['start', '--no-block', unit]);
  if (reset.code !== 0) return failed(layout.program, reset.stderr || reset.stdout);
  return started.code === 0 ? ok(undefined) : failed(unit, started.stderr);
};

/**
 * Brings the datastore of this control plane back to a snapshot, for the day when nothing else helps. The cluster has one server afterwards; the others are taken
 * out of it and join anew. The agent rests meanwhile, since it would undo half of this; a run that was cut is simply started again.
 */
export const restoreDatastore = async (deps: { tools: Tools; clock: Clock }, memory: KubernetesMemory | undefined, file: string): Promise<Result<void>> => {
  const { tools, clock } = deps;
  if (memory?.state !== 'joined' || memory.setup.role !== 'control-plane')
    return fail('blocked', 'no-control-plane', 'this host', 'is no control plane of a cluster that the agent made. Run it on one that is');
  if ((await tools.changedAtMs(file)) === undefined)
    return fail('blocked', 'snapshot-missing', file, `is not there. Snapshots are in ${snapshotFolderOf(memory)}`);
  const rested = await tools.run('systemctl', ['stop', agentUnit], { timeoutMs: 180_000 });
  if (rested.code !== 0 && !/not loaded/i.test(rested.stderr)) return failed(agentUnit, rested.stderr);
  const done = memory.setup.spec.distribution === 'kubeadm' ? await restoreKubeadm(tools, clock, memory, file) : await restoreRancher(tools, memory, file);
  // Only when all of it worked: what is half done is for a person, and an agent would begin to repair.
  if (done.ok) await tools.run('systemctl', ['start', '--no-block', agentUnit]);
  return done;
};
