import { digestBytes } from '@groundplane/protocol/digest';
import { bundleOf, hook, kubernetesLayer, layer, object, osLayer } from './model.ts';

export const base = (files: string[] = ['/etc/motd = hello', '/etc/app.conf = a'], sysctls: Record<string, string> = { 'vm.swappiness': '10' }) =>
  osLayer('base', {
    files,
    sysctls,
    units: [
      {
        name: 'app.service',
        file: { digest: digestBytes('unit'), size: 4 },
        enabled: true,
        active: true,
        dropIns: [{ name: 'limits.conf', digest: digestBytes('limits'), size: 6 }],
      },
      { name: 'ssh.service', enabled: true, active: true, dropIns: [] },
    ],
  });
export const net = layer('net', {
  kind: 'network',
  namespace: 'net-system',
  objects: [object('ConfigMap net-system/net'), object('Deployment net-system/net')],
});
export const disk = layer('disk', { kind: 'storage', objects: [object('ConfigMap kube-system/disk')] });
export const web = (version = 'v1', more: string[] = []) =>
  layer('web', {
    namespace: 'shop',
    objects: [object(`ConfigMap shop/web = ${version}`), object(`Deployment shop/web = ${version}`), ...more.map((text) => object(text))],
  });
export const everything = bundleOf(base(), kubernetesLayer(), net, disk, web());

export const jobs = (version: string) =>
  layer('db', {
    objects: [object(`StatefulSet data/db = ${version}`)],
    hooks: [
      hook('Job data/check', ['pre-install', 'pre-upgrade'], { weight: 5 }),
      hook('Job data/backup', ['pre-upgrade', 'pre-rollback'], { weight: -5, deletePolicies: ['hook-succeeded'] }),
      hook('Job data/migrate', ['post-install', 'post-upgrade', 'post-rollback']),
      hook('Job data/goodbye', ['pre-delete'], { deletePolicies: ['hook-succeeded'] }),
      hook('Job data/cleaned', ['post-delete'], { deletePolicies: ['hook-succeeded'] }),
      hook('Pod data/probe', ['test']),
    ],
  });
