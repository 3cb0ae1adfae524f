import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ProviderDeps } from '../../port/provider.ts';
import { failureOf, jsonOf } from './failures.ts';

type Deps = Pick<ProviderDeps<'maas'>, 'settings' | 'secret' | 'http' | 'clock' | 'random'>;

const baseOf = (url: string): string => {
  const trimmed = url.replace(/\/+$/, '').replace(/\/api\/2\.0$/, '');
  return `${trimmed.endsWith('/MAAS') ? trimmed : `${trimmed}/MAAS`}/api/2.0`;
};

/**
 * OAuth 1.0 with PLAINTEXT signatures (RFC 5849, section 3.4.4). By hand: of a library only these lines would be used, and the usual one (oauth-1.0a)
 * has had no release for years.
 */
const authorization = ({ secret, clock, random }: Deps): string => {
  const [consumer = '', token = '', tokenSecret = ''] = secret.key.split(':');
  const fields = {
    oauth_version: '1.0',
    oauth_signature_method: 'PLAINTEXT',
    oauth_consumer_key: consumer,
    oauth_token: token,
    oauth_signature: `&${tokenSecret}`,
    oauth_nonce: Buffer.from(random.bytes(16)).toString('hex'),
    oauth_timestamp: String(Math.floor(clock.wallMs() / 1_000)),
  };
  return `OAuth ${Object.entries(fields).map(([key, value]) => `${key}="${encodeURIComponent(value)}"`).join(', ')}`; // prettier-ignore
};

export type Fields = readonly (readonly [string, string])[];
export interface Ask {
  method: 'GET' | 'POST' | 'PUT';
  /** Below `/api/2.0/`, with its slash at the end. */
  path: string;
  op?: string;
  query?: Fields;
  form?: Fields;
}

/** Calls of one MAAS. Each is signed by itself; there is no session to lose. */
export const createSession = (deps: Deps) => {
  const base = baseOf(deps.settings.url);
  const call = async (ask: Ask): Promise<Result<unknown>> => {
    const query = new URLSearchParams([...(ask.op === undefined ? [] : [['op', ask.op]]), ...(ask.query ?? []).map((pair) => [...pair])]).toString();
    const asked = `${ask.method} ${ask.path}${ask.op === undefined ? '' : ` op=${ask.op}`}`;
    const sent = await deps.http({
      method: ask.method,
      url: `${base}/${ask.path}${query === '' ? '' : `?${query}`}`,
      headers: {
        accept: 'application/json',
        authorization: authorization(deps),
        ...(ask.method === 'GET' ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      ...(ask.method === 'GET' ? {} : { body: new URLSearchParams((ask.form ?? []).map((pair) => [...pair])).toString() }),
    });
    if (!sent.ok) return sent;
    return sent.value.status >= 200 && sent.value.status < 300 ? jsonOf(asked, sent.value) : failureOf(asked, sent.value);
  };
  /** The answer in the shape that is expected of it. */
  const read = async <S extends z.ZodType>(ask: Ask, schema: S): Promise<Result<z.infer<S>>> => {
    const answer = await call(ask);
    if (!answer.ok) return answer;
    const parsed = schema.safeParse(answer.value);
    if (parsed.success) return ok(parsed.data);
    return fail('retry', 'cloud-failed', `MAAS ${ask.method} ${ask.path}`, `the answer is not understood: ${z.prettifyError(parsed.error).slice(0, 300)}`);
  };
  return { call, read };
};
export type Session = ReturnType<typeof createSession>;
