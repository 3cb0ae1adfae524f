import { stringify } from 'yaml';

/** Asked for when the layer's content brings no image of kube-vip. */
const defaultImage = 'ghcr.io/kube-vip/kube-vip:v1.0.1';

/** The image that the layer's content brings, or the public one. */
export const kubeVipImage = (references: readonly string[]): string => references.find((ref) => /\/kube-vip[:@]/.test(ref)) ?? defaultImage;

/**
 * kube-vip as a static pod of a control plane: the address of the API server is on the one that holds a lease in the cluster, announced by ARP. `kubeconfig` is a
 * path on the host; before the cluster has its roles only the super-administrator may take the lease.
 */
export const kubeVipManifest = (address: string, port: number, image: string, kubeconfig: string): string => {
  const env = {
    vip_arp: 'true',
    address,
    port: String(port),
    vip_subnet: address.includes(':') ? '128' : '32',
    cp_enable: 'true',
    cp_namespace: 'kube-system',
    vip_leaderelection: 'true',
    vip_leasename: 'plndr-cp-lock',
    vip_leaseduration: '5',
    vip_renewdeadline: '3',
    vip_retryperiod: '1',
  };
  return stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'kube-vip', namespace: 'kube-system' },
    spec: {
      hostNetwork: true,
      hostAliases: [{ hostnames: ['kubernetes'], ip: '127.0.0.1' }],
      priorityClassName: 'system-node-critical',
      containers: [
        {
          name: 'kube-vip',
          image,
          imagePullPolicy: 'IfNotPresent',
          args: ['manager'],
          env: [
            ...Object.entries(env).map(([name, value]) => ({ name, value })),
            { name: 'vip_nodename', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
          ],
          securityContext: { capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] } },
          volumeMounts: [{ mountPath: '/etc/kubernetes/admin.conf', name: 'kubeconfig' }],
        },
      ],
      volumes: [{ name: 'kubeconfig', hostPath: { path: kubeconfig } }],
    },
  });
};
