import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Who may talk to the lab. Roles are Kubernetes' own cluster roles. */
export const identities = {
  admin: { group: 'system:masters' },
  /** Reads everything but secrets, changes nothing. */
  viewer: { group: 'lab:viewers', role: 'view' },
  /** Changes workloads in namespaces, but neither RBAC nor namespaces nor CRDs. */
  editor: { group: 'lab:editors', role: 'edit' },
  /** Known, but allowed nothing. */
  stranger: { group: 'lab:strangers' },
} as const;
export type Identity = keyof typeof identities;
export type Tokens = Record<Identity, string>;

const names = Object.keys(identities) as Identity[];

/** Tokens of the folder's lab, made on the first start and kept, so that a kubeconfig stays good over restarts. */
export const ensureTokens = async (dir: string): Promise<Tokens> => {
  const path = join(dir, 'tokens.json');
  if (existsSync(path)) return JSON.parse(await readFile(path, 'utf8')) as Tokens;
  const tokens = Object.fromEntries(names.map((name) => [name, randomBytes(24).toString('base64url')])) as Tokens;
  await writeFile(path, JSON.stringify(tokens), { mode: 0o600 });
  return tokens;
};

/** Writes the API server's static token file. */
export const writeTokenFile = async (dir: string, tokens: Tokens): Promise<string> => {
  const path = join(dir, 'tokens.csv');
  await writeFile(path, names.map((name) => `${tokens[name]},${name},${name},"${identities[name].group}"\n`).join(''), { mode: 0o600 });
  return path;
};

/** Key that signs service account tokens. */
export const ensureServiceAccountKey = async (dir: string): Promise<string> => {
  const path = join(dir, 'service-account.key');
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  }
  return path;
};

/** A kubeconfig that verifies the server by its own certificate. */
export const kubeconfigText = (server: string, caPem: string, user: string, token: string): string =>
  [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    '  - name: lab',
    '    cluster:',
    `      server: ${server}`,
    `      certificate-authority-data: ${Buffer.from(caPem).toString('base64')}`,
    'users:',
    `  - name: ${user}`,
    '    user:',
    `      token: ${token}`,
    'contexts:',
    '  - name: lab',
    '    context:',
    '      cluster: lab',
    `      user: ${user}`,
    'current-context: lab',
    '',
  ].join('\n');

/** Objects every lab begins with: role bindings of the identities, and the fake nodes. */
export const firstObjects = (nodes: number): object[] => {
  const bindings = names.flatMap((name) => {
    const identity: { group: string; role?: string } = identities[name];
    if (identity.role === undefined) return [];
    return [
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: `lab-${name}` },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: identity.role },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: identity.group }],
      },
    ];
  });
  const size = { cpu: '8', memory: '16Gi', pods: '110' };
  const machines = Array.from({ length: nodes }, (_unused, index) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `fake-${index + 1}`,
      labels: { 'kubernetes.io/hostname': `fake-${index + 1}`, 'kubernetes.io/os': 'linux' },
      annotations: { 'kwok.x-k8s.io/node': 'fake' },
    },
    status: { capacity: size, allocatable: size },
  }));
  return [...bindings, ...machines];
};
