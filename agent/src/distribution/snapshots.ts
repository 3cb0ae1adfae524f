import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { Tools } from '../port/tools.ts';

/** Where snapshots of the datastore lie on a control plane. */
export const snapshotFolder = '/var/lib/groundplane/snapshots';
/** etcd writes where both its pod and the host look. */
const meetingPoint = '/var/lib/etcd/groundplane-snapshot.db';

const certificates = ['--cacert=/etc/kubernetes/pki/etcd/ca.crt', '--cert=/etc/kubernetes/pki/etcd/server.crt', '--key=/etc/kubernetes/pki/etcd/server.key'];

interface MemberList {
  members?: { ID: number | string; name?: string; peerURLs?: string[] }[];
}

/** etcd of kubeadm, through its own pod: it brings the tool of its own version. */
export const createSnapshots = (deps: { tools: Tools; clock: Clock; adminConfig: string }) => {
  const { tools, clock, adminConfig } = deps;

  const etcdctl = async (node: string, args: readonly string[]): Promise<Result<string>> => {
    const inPod = ['exec', '-n', 'kube-system', `etcd-${node}`, '-c', 'etcd', '--', 'etcdctl', '--endpoints=https://127.0.0.1:2379', ...certificates, ...args];
    const result = await tools.run('kubectl', ['--kubeconfig', adminConfig, ...inPod], { timeoutMs: 300_000 });
    return result.code === 0
      ? ok(result.stdout)
      : fail('retry', 'kubernetes-failed', 'etcd', `etcdctl ${args.slice(0, 2).join(' ')}: ${(result.stderr || result.stdout).trim().slice(-600)}`);
  };

  const names = async (): Promise<string[]> => (await tools.list(snapshotFolder)).filter((name) => /^etcd-\d+\.db$/.test(name)).toSorted();

  return {
    /** Of the newest one. A clock that went back makes it look new, never old: one more snapshot harms nobody, an hour without one neither. */
    ageMs: async (everyHours: number): Promise<number> => {
      const newest = (await names()).at(-1);
      const atMs = newest === undefined ? undefined : Number(/\d+/.exec(newest)?.[0]);
      return atMs === undefined ? everyHours * 3_600_000 * 2 : Math.abs(clock.wallMs() - atMs);
    },
    save: async (node: string, keep: number): Promise<Result<void>> => {
      const saved = await etcdctl(node, ['snapshot', 'save', meetingPoint]);
      if (!saved.ok) return saved;
      const stamp = String(Math.round(clock.wallMs())).padStart(14, '0');
      const copied = await tools.run('install', ['-D', '-m', '0600', meetingPoint, `${snapshotFolder}/etcd-${stamp}.db.new`], { timeoutMs: 300_000 });
      if (copied.code !== 0) return fail('blocked', 'disk-error', snapshotFolder, copied.stderr.trim().slice(-400));
      // The file and its name; the whole file system may have hundreds of megabytes of others' to write.
      await tools.run('sync', [`${snapshotFolder}/etcd-${stamp}.db.new`]);
      await tools.move(`${snapshotFolder}/etcd-${stamp}.db.new`, `${snapshotFolder}/etcd-${stamp}.db`);
      await tools.run('sync', [snapshotFolder]);
      await tools.remove(meetingPoint);
      const all = await names();
      for (const old of all.slice(0, Math.max(0, all.length - keep))) await tools.remove(`${snapshotFolder}/${old}`);
      return ok(undefined);
    },
    /** Takes a member out by the name of its node, asked from a member that is still there. */
    forgetMember: async (node: string): Promise<Result<void>> => {
      const pods = await tools.run('kubectl', [
        '--kubeconfig',
        adminConfig,
        'get',
        'pods',
        '-n',
        'kube-system',
        '-l',
        'component=etcd',
        '-o',
        'jsonpath={range .items[*]}{.spec.nodeName}{"\\n"}{end}',
      ]);
      const other = pods.stdout.split('\n').find((name) => name !== '' && name !== node);
      if (other === undefined) return ok(undefined);
      const listed = await etcdctl(other, ['member', 'list', '--hex', '-w', 'json']);
      if (!listed.ok) return listed;
      // Hex numbers come as text; without it they would not fit into a number of JavaScript.
      const { members = [] } = JSON.parse(listed.value) as MemberList;
      const member = members.find((item) => item.name === node);
      if (member === undefined) return ok(undefined);
      const removed = await etcdctl(other, ['member', 'remove', String(member.ID)]);
      return removed.ok ? ok(undefined) : removed;
    },
  };
};
