import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { openConnection, type Connection } from '../cluster/connection.ts';
import { parseTicket, type EnrolmentTicket } from '../identity/ticket.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Where Kubernetes puts the token, the authority and the namespace of a pod's service account. */
const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface InsideSettings {
  /** Folder for the agent's memory. */
  home: string;
  /** Name of this pod: nobody else in the namespace has it. */
  pod: string;
  probePort: number;
  ticket: EnrolmentTicket;
  /** What the deployment asks for, as the manifest writes it; and the digest that runs. They differ when that did not become healthy. */
  wanted: string;
  running: string;
  before: string | undefined;
  /** Mark of the manifest; empty where it has none. */
  manifest: string;
}

const missing = (name: string): Result<never> =>
  fail('fatal', 'environment-missing', name, 'is not set. This program is started by the manifest that gp cloud import prints');

/** Failures: `environment-missing`, `ticket-invalid` (fatal). */
export const insideSettings = (env: Env): Result<InsideSettings> => {
  const { GROUNDPLANE_HOME: home, GROUNDPLANE_POD: pod, GROUNDPLANE_TICKET: file, GROUNDPLANE_PACKAGE: wanted, GROUNDPLANE_RUNNING: running } = env;
  if (home === undefined) return missing('GROUNDPLANE_HOME');
  if (pod === undefined) return missing('GROUNDPLANE_POD');
  if (file === undefined) return missing('GROUNDPLANE_TICKET');
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return fail('fatal', 'ticket-invalid', file, `the ticket cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const ticket = parseTicket(text);
  if (!ticket.ok) return ticket;
  const probePort = Number(env['GROUNDPLANE_PROBE_PORT'] ?? 8080);
  const { GROUNDPLANE_PACKAGE_BEFORE: before, GROUNDPLANE_MANIFEST: manifest = '' } = env;
  return ok({ home, pod, probePort, ticket: ticket.value, wanted: wanted ?? '', running: running ?? '', before, manifest: manifest.slice(0, 64) });
};

/** The API server of the cluster that this runs in. The token is read again as it is rotated. Failures: `not-inside`, `kubeconfig-invalid` (blocked). */
export const insideConnection = async (env: Env): Promise<Result<Connection>> => {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (host === undefined || host === '')
    return fail(
      'blocked',
      'not-inside',
      'KUBERNETES_SERVICE_HOST',
      'is not set, so this is no pod of a cluster. Start it with the manifest that gp cloud import prints',
    );
  const folder = env['GROUNDPLANE_SERVICE_ACCOUNT'] ?? accountFolder;
  return openConnection({
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: { file: join(folder, 'ca.crt') },
    token: { file: join(folder, 'token') },
    insecure: false,
  });
};
