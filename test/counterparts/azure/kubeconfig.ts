import { Refused, type Resource, type Store } from './store.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const nobody = {
  ca: '-----BEGIN CERTIFICATE-----\nca\n',
  admin: { certificate: '-----BEGIN CERTIFICATE-----\nclient\n', key: '-----BEGIN PRIVATE KEY-----\nkey\n' },
};

/** `az aks get-credentials --admin`: a certificate of the local account and, beside it, a token. Without `--admin`: that account too, or a program that asks Entra. */
export const kubeconfigOf = (store: Store, cluster: Resource, kind: 'admin' | 'user'): { name: string; value: string } => {
  const isEntra = cluster.properties['disableLocalAccounts'] === true;
  if (isEntra && kind === 'admin')
    throw new Refused(400, 'BadRequest', 'Getting static credential is not allowed because this cluster is set to disable local accounts.');
  const { server = `https://${String(cluster.properties['fqdn'])}:443`, ca, admin = nobody.admin } = store.controlPlane(cluster.name) ?? { ca: nobody.ca };
  const exec = '{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin, args: [get-token, --environment, AzurePublicCloud, --server-id, 6dae42f8-4368-4678-94ff-3960e28e3630, --login, devicecode], provideClusterInfo: false}}'; // prettier-ignore
  const local = `{client-certificate-data: ${base64(admin.certificate)}, client-key-data: ${base64(admin.key)}, token: 0a1b}`;
  const text = [
    'apiVersion: v1',
    'kind: Config',
    `clusters: [{name: c, cluster: {server: "${server}", certificate-authority-data: ${base64(ca)}}}]`,
    `users: [{name: u, user: ${isEntra ? exec : local}}]`,
    'contexts: [{name: x, context: {cluster: c, user: u}}]',
    'current-context: x',
    '',
  ].join('\n');
  return { name: kind === 'admin' ? 'clusterAdmin' : 'clusterUser', value: base64(text) };
};
