import { createHash, createHmac } from 'node:crypto';
import { systemClock } from '@groundplane/hub/system/clock';
import type { Reviewed, ReviewToken } from '../control-plane.ts';
import type { EksModel } from './eks-front.ts';

/**
 * What stands behind EKS' API server, after aws-iam-authenticator's description of its tokens: the address of a presigned GetCallerIdentity is looked at part by
 * part, called with the cluster's own name in the header, and whoever STS says it is must have an access entry. Of us: STS' check of the signature (moto has
 * none), by AWS' own description of Signature Version 4; and what EKS' access policies let somebody do, as groups.
 */
export interface Authenticator {
  moto: string;
  model: EksModel;
  /** Secret of an access key. */
  secretOf: (keyId: string) => string | undefined;
  /** The cluster that this API server belongs to. */
  cluster: () => string;
  /** Besides the machine's clock. */
  laterMs: () => number;
}

const prefix = 'k8s-aws-v1.';
const allowed = ['action', 'version', 'x-amz-algorithm', 'x-amz-credential', 'x-amz-date', 'x-amz-expires', 'x-amz-security-token', 'x-amz-signature', 'x-amz-signedheaders']; // prettier-ignore
const dateMsMax = 15 * 60_000;
const policyGroups: Readonly<Record<string, string>> = { AmazonEKSClusterAdminPolicy: 'system:masters', AmazonEKSViewPolicy: 'lab:viewers', AmazonEKSEditPolicy: 'lab:editors' }; // prettier-ignore

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const encoded = (text: string): string => encodeURIComponent(text).replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

/** The signature that this request would have (AWS: "Create a signed AWS API request", with the signature in the query). */
const signatureOf = (url: URL, headers: Record<string, string>, secret: string): string => {
  const query = [...url.searchParams].filter(([name]) => name !== 'X-Amz-Signature').map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
  const signed = (url.searchParams.get('X-Amz-SignedHeaders') ?? '').split(';');
  const lines = signed.map((name) => `${name}:${headers[name] ?? ''}\n`).join('');
  const canonical = ['GET', url.pathname, query.toSorted().join('&'), lines, signed.join(';'), hash('')].join('\n');
  const [, ...scope] = (url.searchParams.get('X-Amz-Credential') ?? '').split('/');
  const [date = '', region = '', service = ''] = scope;
  const text = ['AWS4-HMAC-SHA256', url.searchParams.get('X-Amz-Date') ?? '', scope.join('/'), hash(canonical)].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request');
  return hmac(key, text).toString('hex');
};

/** `20260102T030405Z` */
const dateOf = (text: string): number => Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));

const wrongWith = (url: URL, nowMs: number): string | undefined => {
  const names = [...url.searchParams.keys()].map((name) => name.toLowerCase());
  const get = (name: string): string => [...url.searchParams].find(([key]) => key.toLowerCase() === name)?.[1] ?? '';
  if (url.protocol !== 'https:' || !/^sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?$/.test(url.host) || url.pathname !== '/') return 'unexpected address in pre-signed URL'; // prettier-ignore
  if (names.some((name) => !allowed.includes(name)) || new Set(names).size < names.length) return 'non-whitelisted query parameter';
  if (get('action') !== 'GetCallerIdentity') return 'unexpected action parameter in pre-signed URL';
  if (!get('x-amz-signedheaders').split(';').includes('x-k8s-aws-id')) return 'client did not sign the x-k8s-aws-id header in the pre-signed URL';
  if (!/^\d+$/.test(get('x-amz-expires')) || Number(get('x-amz-expires')) > 900) return 'invalid X-Amz-Expires parameter in pre-signed URL';
  const ageMs = nowMs - dateOf(get('x-amz-date'));
  return Math.abs(ageMs) <= dateMsMax ? undefined : 'X-Amz-Date parameter is expired';
};

/** Asks moto's STS who that is. It knows no presigned calls, so what is in the query goes into the header. */
const callerOf = async (moto: string, url: URL): Promise<string | undefined> => {
  const get = (name: string): string => url.searchParams.get(name) ?? '';
  const authorization = `AWS4-HMAC-SHA256 Credential=${get('X-Amz-Credential')}, SignedHeaders=${get('X-Amz-SignedHeaders')}, Signature=${get('X-Amz-Signature')}`;
  const body = new URLSearchParams({ Action: get('Action'), Version: get('Version') });
  const answer = await fetch(moto, { method: 'POST', headers: { authorization, 'x-amz-date': get('X-Amz-Date') }, body });
  return /<Arn>([^<]+)<\/Arn>/.exec(await answer.text())?.[1];
};

export const eksReview =
  ({ moto, model, secretOf, cluster, laterMs }: Authenticator): ReviewToken =>
  async (token): Promise<Reviewed | undefined> => {
    if (!token.startsWith(prefix)) return undefined;
    if (token.includes('=')) return { error: 'input token was not properly formatted' };
    const url = URL.parse(Buffer.from(token.slice(prefix.length), 'base64url').toString());
    if (url === null) return { error: 'input token was not properly formatted' };
    const wrong = wrongWith(url, systemClock.wallMs() + laterMs());
    if (wrong !== undefined) return { error: wrong };
    const secret = secretOf((url.searchParams.get('X-Amz-Credential') ?? '').split('/')[0] ?? '');
    if (secret === undefined) return { error: 'STS: InvalidClientTokenId' };
    if (signatureOf(url, { host: url.host, 'x-k8s-aws-id': cluster() }, secret) !== url.searchParams.get('X-Amz-Signature'))
      return { error: 'STS: SignatureDoesNotMatch' };
    const arn = await callerOf(moto, url);
    const entry = model.entriesOf?.(cluster()).get(arn ?? '');
    if (arn === undefined || entry === undefined) return { error: `${arn ?? 'nobody'} has no access entry` };
    const policies = [...entry.policies].flatMap((policy) => policyGroups[policy.split('/').at(-1) ?? ''] ?? []);
    return { username: arn, groups: [...((entry.shown['kubernetesGroups'] ?? []) as string[]), ...policies] };
  };
