import { EC2Client } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { IAMClient } from '@aws-sdk/client-iam';
import { SSMClient } from '@aws-sdk/client-ssm';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { AccountSecret } from '@groundplane/protocol/environment/account';
import type { ProviderDeps } from '../../port/provider.ts';
import { failureOf } from './failures.ts';
import { awsLimits } from './limits.ts';
import { transportOf } from './transport.ts';

export interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiration?: Date;
}

type Deps = Pick<ProviderDeps<'aws'>, 'settings' | 'secret' | 'http' | 'clock'>;

const ownKeys = (secret: AccountSecret<'aws'>): (() => Promise<Keys>) => {
  if (secret.type === 'identity') return defaultProvider();
  const { accessKeyId, secretAccessKey, sessionToken } = secret;
  return async () => ({ accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) });
};

/** What every client gets. The SDK repeats nothing: whoever drives us does, within the account's budget. */
export const clientConfig = ({ settings, http }: Deps, region: string, keys: () => Promise<Keys>) => ({
  region,
  credentials: keys,
  maxAttempts: 1,
  requestHandler: transportOf(http) as never,
  ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
});

/** Keys of the role that is assumed with the account's own, renewed in time. Two that need them at once ask once. */
const roleKeys = (deps: Deps, own: () => Promise<Keys>): { keys: () => Promise<Keys>; forget: () => void } => {
  const { roleArn, externalId, region } = deps.settings;
  if (roleArn === undefined) return { keys: own, forget: () => undefined };
  const sts = new STSClient(clientConfig(deps, region, own));
  let kept: { keys: Keys; untilMs: number } | undefined;
  let asking: Promise<Keys> | undefined;
  const ask = async (): Promise<Keys> => {
    const input = { RoleArn: roleArn, RoleSessionName: 'groundplane', DurationSeconds: awsLimits.roleSessionSeconds, ExternalId: externalId };
    const { Credentials } = await sts.send(new AssumeRoleCommand(input));
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
    if (AccessKeyId === undefined || SecretAccessKey === undefined || SessionToken === undefined) throw new Error('AssumeRole answered without keys');
    const untilMs = Expiration?.getTime() ?? deps.clock.wallMs() + awsLimits.roleSessionSeconds * 1_000;
    const keys: Keys = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken, expiration: new Date(untilMs) };
    kept = { keys, untilMs };
    return keys;
  };
  return {
    keys: async () => {
      if (kept !== undefined && kept.untilMs - deps.clock.wallMs() > awsLimits.renewMs) return kept.keys;
      asking ??= ask().finally(() => (asking = undefined));
      return asking;
    },
    forget: () => void (kept = undefined),
  };
};

interface Clients {
  ec2: EC2Client;
  elb: ElasticLoadBalancingV2Client;
  iam: IAMClient;
  ssm: SSMClient;
  sts: STSClient;
}

/** One account: its keys, its clients by region, and its patience. */
export const createSession = (deps: Deps) => {
  const { keys, forget: forgetKeys } = roleKeys(deps, ownKeys(deps.secret));
  const regions = new Map<string, Clients>();
  /** What this life made a moment ago and may not be listed yet: asked for again, it would be there twice. */
  const fresh = new Map<string, number>();
  let pausedUntilMs = 0;
  let pauseMs: number = awsLimits.pauseMinMs;

  const clients = (region: string): Clients => {
    const known = regions.get(region);
    if (known !== undefined) return known;
    const config = clientConfig(deps, region, keys);
    const made = {
      ec2: new EC2Client(config),
      elb: new ElasticLoadBalancingV2Client(config),
      iam: new IAMClient(config),
      ssm: new SSMClient(config),
      sts: new STSClient(config),
    };
    regions.set(region, made);
    return made;
  };

  /**
   * One call, its exceptions as failures. `action`: the permission that it needs. AWS says that it is throttled by a code and without a time to wait, which the
   * door behind `http` cannot see; so the whole account is left alone from here for a while.
   */
  const call = async <T>(element: string, action: string, act: () => Promise<T>): Promise<Result<T>> => {
    const waitMs = pausedUntilMs - deps.clock.monotonicMs();
    if (waitMs > 0) return fail('retry', 'throttled', element, `AWS asked for fewer calls; the next one goes out in ${Math.ceil(waitMs / 1_000)} s`);
    try {
      const value = await act();
      pauseMs = awsLimits.pauseMinMs;
      return ok(value);
    } catch (error) {
      const failed = failureOf(error, element, action);
      if (failed.failure.code === 'throttled') {
        pausedUntilMs = deps.clock.monotonicMs() + pauseMs;
        pauseMs = Math.min(pauseMs * 2, awsLimits.pauseMaxMs);
      }
      return failed;
    }
  };

  return {
    deps,
    keys,
    /** Keys of a role that were revoked before their time. */
    forgetKeys,
    clients,
    call,
    noteFresh: (key: string): void => {
      const nowMs = deps.clock.monotonicMs();
      for (const [other, atMs] of fresh) if (nowMs - atMs > awsLimits.listingLagMs) fresh.delete(other);
      fresh.set(key, nowMs);
    },
    isFresh: (key: string): boolean => deps.clock.monotonicMs() - (fresh.get(key) ?? Number.NEGATIVE_INFINITY) <= awsLimits.listingLagMs,
    /** It was listed, so its absence means from now on that it is gone. */
    settle: (key: string): void => void fresh.delete(key),
  };
};
export type Session = ReturnType<typeof createSession>;

/** A session in one region: what every part of the provider works with. */
export interface Cloud extends Clients {
  region: string;
  session: Session;
  call: Session['call'];
}
export const cloudOf = (session: Session, region: string): Cloud => ({ ...session.clients(region), region, session, call: session.call });
