import { parse } from 'yaml';
import type { KeptFile } from '../port/distribution.ts';

const folder = '/etc/kubernetes';

/** Files that only kubeadm writes: any other content is somebody's change, and is undone. */
const exact = {
  worker: ['/var/lib/kubelet/config.yaml', '/var/lib/kubelet/kubeadm-flags.env'],
  'control-plane': ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-vip'].map((name) => `${folder}/manifests/${name}.yaml`),
} as const;

/** Files that are renewed from time to time, by us or by somebody else: they only have to be there and whole. */
const valid = {
  worker: [`${folder}/kubelet.conf`, `${folder}/pki/ca.crt`],
  'control-plane': [
    ...['admin', 'super-admin', 'controller-manager', 'scheduler'].map((name) => `${folder}/${name}.conf`),
    ...['ca', 'front-proxy-ca', 'etcd/ca', 'apiserver', 'apiserver-kubelet-client', 'front-proxy-client', 'apiserver-etcd-client'].flatMap((name) =>
      ['crt', 'key'].map((end) => `${folder}/pki/${name}.${end}`),
    ),
    ...['server', 'peer', 'healthcheck-client'].flatMap((name) => ['crt', 'key'].map((end) => `${folder}/pki/etcd/${name}.${end}`)),
    `${folder}/pki/sa.key`,
    `${folder}/pki/sa.pub`,
  ],
} as const;

/** What is kept in shape on a host of this role. Not all of it is on every host: an external datastore has no etcd here. */
export const keptPaths = (role: 'control-plane' | 'worker'): Map<string, KeptFile['rule']> =>
  new Map([
    ...(role === 'control-plane' ? exact['control-plane'] : []).map((path) => [path, 'exact'] as const),
    ...exact.worker.map((path) => [path, 'exact'] as const),
    ...(role === 'control-plane' ? valid['control-plane'] : []).map((path) => [path, 'valid'] as const),
    ...valid.worker.map((path) => [path, 'valid'] as const),
  ]);

export const manifestPath = (name: string): string => `${folder}/manifests/${name}.yaml`;

/** Version of the image in a static pod's manifest; undefined when it cannot be told. */
export const manifestVersion = (text: string): string | undefined => {
  try {
    const pod = parse(text) as { spec?: { containers?: { image?: string }[] } } | null;
    return /:(v\d[^@\s]*)(@.*)?$/.exec(pod?.spec?.containers?.[0]?.image ?? '')?.[1];
  } catch {
    return undefined;
  }
};
