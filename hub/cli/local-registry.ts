import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { askHelper } from './credential-helper.ts';
import { createThrottle } from '../src/content/throttle.ts';
import { parseDockerConfig, type Credentials, type DockerConfig } from '../src/registry/docker-config.ts';
import { createEgress } from '../src/registry/egress.ts';
import { endpointsOf } from '../src/registry/endpoints.ts';
import { registryLimits } from '../src/registry/limits.ts';
import { createOciClient, type OciClient } from '../src/registry/oci-client.ts';
import { referenceText, type Reference } from '../src/registry/oci-reference.ts';
import { systemClock } from '../src/system/clock.ts';
import { notice, type Context } from './io.ts';
import { printOne } from './output/print.ts';
import { readSettings } from './settings.ts';

/** Flags of every command that talks to a registry from this machine. */
export interface RegistryFlags {
  username?: string;
  passwordStdin?: boolean;
  insecure?: boolean;
  ca?: string;
  tokenHost?: string[];
  /** Bytes a second. */
  limitRate?: number;
}

const dockerConfig = async (context: Context): Promise<Result<DockerConfig | undefined>> => {
  const folder = context.io.env['DOCKER_CONFIG'] ?? join(context.io.env['HOME'] ?? '/', '.docker');
  const file = join(folder, 'config.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return ok(undefined);
  }
  if (text.length > registryLimits.credentialsBytes)
    return fail('fatal', 'credentials-invalid', file, `has more than ${registryLimits.credentialsBytes} bytes`);
  return parseDockerConfig(text, file);
};

/** The key of a hub, when the registry is one: `gp login` is enough to push to it. */
const hubCredentials = async (context: Context, registry: string): Promise<{ credentials: Credentials; insecure: boolean } | undefined> => {
  const settings = await readSettings(context.io);
  if (!settings.ok) return undefined;
  const stored = Object.values(settings.value.contexts).find((item) => URL.parse(item.hub)?.host === registry);
  const named = context.globals.hub ?? context.io.env['GP_HUB'];
  const isNamed = named !== undefined && URL.parse(named)?.host === registry;
  const token = isNamed ? (context.globals.token ?? context.io.env['GP_TOKEN']) : undefined;
  const key = token ?? (stored?.credential?.kind === 'key' ? stored.credential.token : undefined);
  return key === undefined ? undefined : { credentials: { username: 'gp', password: key }, insecure: stored?.insecure === true };
};

export interface LocalRegistry {
  client: OciClient;
  close(): void;
}

/** A client on the machine of whoever typed the command: credentials from flags, the hub's login or Docker's config.json; private addresses are fine. */
export const localRegistry = async (context: Context, registry: string, flags: RegistryFlags): Promise<Result<LocalRegistry>> => {
  const docker = await dockerConfig(context);
  if (!docker.ok) return docker;
  let ca: string | undefined;
  if (flags.ca !== undefined) {
    const text = await readFile(flags.ca, 'utf8').catch(() => undefined);
    if (text === undefined || !text.includes('-----BEGIN CERTIFICATE-----'))
      return fail('fatal', 'credentials-invalid', flags.ca, 'is no file with a certificate in PEM form');
    ca = text;
  }
  const password =
    flags.passwordStdin === true
      ? Buffer.from(await context.io.stdin.read(16_384))
          .toString('utf8')
          .replace(/\r?\n$/, '')
      : context.io.env['GP_REGISTRY_PASSWORD'];
  const given = flags.username === undefined ? undefined : { username: flags.username, password: password ?? '' };
  const hub = given === undefined ? await hubCredentials(context, registry) : undefined;
  const inside = given ?? hub?.credentials ?? docker.value?.credentials(registry);
  const outside = inside === undefined ? docker.value?.outsideOf(registry) : undefined;
  const asked = outside === undefined ? ok(undefined) : await askHelper(outside.helper, outside.server, context.io.env);
  // Much is public, so that a helper which is not installed here is no reason to stop.
  if (!asked.ok) await notice(context, `note: ${asked.failure.element} ${asked.failure.message}`);
  const credentials = inside ?? (asked.ok ? asked.value : undefined);
  const egress = createEgress({ private: 'all' });
  const settings = {
    insecure: flags.insecure === true || context.globals.insecure || hub?.insecure === true,
    tokenHosts: flags.tokenHost ?? [],
    ...(ca === undefined ? {} : { ca }),
    ...(credentials === undefined ? {} : { credentials }),
  };
  const client = createOciClient({
    egress,
    clock: systemClock,
    endpoints: (name) => Promise.resolve(endpointsOf(name, name === registry ? settings : {}, docker.value)),
    ...(flags.limitRate === undefined ? {} : { throttle: createThrottle(systemClock, flags.limitRate) }),
  });
  return ok({ client, close: () => egress.close() });
};

/** Where a pushed artifact is, and its digest: what a script pins. */
export const printPushed = async (context: Context, pushed: { reference: Reference; digest: string }): Promise<void> => {
  const answer = { reference: referenceText(pushed.reference), digest: pushed.digest };
  await printOne(context, answer, answer.reference, () => `${answer.reference}@${answer.digest}\n`);
};
