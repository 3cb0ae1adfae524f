import { Gaxios, type GaxiosOptionsPrepared, type GaxiosResponse } from 'gaxios';
import { Compute, IdentityPoolClient, JWT, type AuthClient, type IdentityPoolClientOptions } from 'google-auth-library';
import { z } from 'zod';
import { fail, FailureError, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import type { Http, HttpResponse } from '../../port/http.ts';
import type { ProviderDeps } from '../../port/provider.ts';
import { failureOf } from './failures.ts';
import { googleLimits } from './limits.ts';

export interface Token {
  token: string;
  /** Milliseconds since 1970. */
  expiresAtMs: number;
}

const scope = 'https://www.googleapis.com/auth/cloud-platform';
const element = 'Google login';

/** What the door answered last during one login; the library wraps it in its own words. */
interface Record {
  failure?: Failure;
  answer?: HttpResponse;
}

const bodyOf = (body: unknown): string | Uint8Array | undefined => {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new FailureError(fail('fatal', 'cloud-refused', element, 'its body is a stream, which no login needs').failure);
};

/** The library's way out: through the hub's door, once, and never again by itself. */
class DoorTransport extends Gaxios {
  readonly #http: Http;
  readonly #record: Record;
  constructor(http: Http, record: Record) {
    super();
    this.#http = http;
    this.#record = record;
  }

  override async request<T = unknown>(options: Parameters<Gaxios['request']>[0] = {}): Promise<GaxiosResponse<T>> {
    return super.request<T>({
      ...options,
      retry: false,
      retryConfig: { retry: 0, noResponseRetries: 0 },
      fetchImplementation: (target, init) => this.#fetch(target instanceof Request ? target.url : target.toString(), init as GaxiosOptionsPrepared),
    });
  }

  async #fetch(url: string, init: GaxiosOptionsPrepared): Promise<Response> {
    const body = bodyOf(init.body);
    const { 'accept-encoding': _compressed, ...headers } = Object.fromEntries(new Headers(init.headers));
    const answer = await this.#http({ method: init.method ?? 'GET', url, headers, ...(body === undefined ? {} : { body }) });
    if (!answer.ok) {
      this.#record.failure = answer.failure;
      throw new FailureError(answer.failure);
    }
    this.#record.answer = answer.value;
    const { status, headers: given, body: bytes } = answer.value;
    return new Response([204, 304].includes(status) ? null : new Uint8Array(bytes), { status, headers: given });
  }
}

/** The library exchanges tokens by a transport of its own, which would pass the door by. */
class FederatedClient extends IdentityPoolClient {
  constructor(options: IdentityPoolClientOptions) {
    super(options);
    Object.assign(this.stsCredential, { transporter: this.transporter });
  }
}

const onGoogle = (text: string): boolean => /^https:\/\/([a-z0-9-]+\.)*googleapis\.com\//.test(text);

/**
 * A key is written by whoever makes the account, and may name files, programs and addresses that would be the hub's own. Tokens go to Google only, programs do
 * not run, and files are read only where machines keep tokens of workloads.
 */
const keySchema = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('service_account'),
    client_email: z.string(),
    private_key: z.string(),
    project_id: z.string().optional(),
    token_uri: z.string().refine(onGoogle, 'is not at Google').optional(),
    universe_domain: z.literal('googleapis.com').optional(),
  }),
  z.looseObject({
    type: z.literal('external_account'),
    audience: z.string(),
    token_url: z.string().refine(onGoogle, 'is not at Google'),
    service_account_impersonation_url: z.string().refine(onGoogle, 'is not at Google').optional(),
    universe_domain: z.literal('googleapis.com').optional(),
    credential_source: z
      .looseObject({
        file: z
          .string()
          .regex(/^\/(var\/)?run\/secrets\/(?!.*\.\.)/, 'may only lie under /var/run/secrets')
          .optional(),
      })
      .refine(
        (source) => !['executable', 'certificate', 'environment_id'].some((key) => key in source),
        'may be a file or an address only: no programs, no certificates, no AWS',
      ),
  }),
]);
export type GoogleKey = z.infer<typeof keySchema>;

export const readKey = (json: string): Result<GoogleKey> => {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return fail(
      'blocked',
      'credentials-refused',
      element,
      'the key is no JSON. Make one: gcloud iam service-accounts keys create key.json --iam-account=ACCOUNT',
    );
  }
  const parsed = keySchema.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  return fail('blocked', 'credentials-refused', element, `the key is neither one of a service account nor of workload identity federation: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`); // prettier-ignore
};

const clientOf = ({ secret, http }: ProviderDeps<'google'>, record: Record): Result<AuthClient> => {
  // The address of a machine's own identity is closed to everything that comes through the door; only this client goes there.
  if (secret.type === 'identity') return ok(new Compute({ scopes: [scope] }));
  const key = readKey(secret.json);
  if (!key.ok) return key;
  // The library types the transport of another build of the same package.
  const transporter = new DoorTransport(http, record) as never;
  const { value } = key;
  if (value.type === 'service_account') return ok(new JWT({ email: value.client_email, key: value.private_key, scopes: [scope], transporter }));
  return ok(new FederatedClient({ ...value, scopes: [scope], transporter } as unknown as IdentityPoolClientOptions));
};

/** OAuth's own refusals are a word; every other one of Google's is an object with reasons. */
const isOAuth = (answer: HttpResponse): boolean => /"error"\s*:\s*"/.test(answer.body.toString('utf8', 0, 8_192));

const refusedOf = (error: unknown, { failure, answer }: Record): Result<never> => {
  if (failure !== undefined) return { ok: false, failure };
  const words = (error instanceof Error ? error.message : String(error)).replaceAll(/[\s\p{Cc}]+/gu, ' ').slice(0, googleLimits.wordsLength);
  if (answer !== undefined && answer.status >= 400 && (!isOAuth(answer) || answer.status === 429 || answer.status >= 500)) return failureOf(element, answer);
  if (answer === undefined && !/invalid|private key|PEM|DECODER/i.test(words)) return fail('retry', 'cloud-unreachable', element, words);
  return fail('blocked', 'credentials-refused', element, `${words}. Check the key of the account, and whether it was deleted`);
};

/** One token for all calls, renewed before it ends. However many wait for it: one login. */
export const createLogin = (deps: ProviderDeps<'google'>) => {
  let current: (Token & { renewAtMs: number }) | undefined;
  let asking: Promise<Result<Token>> | undefined;
  const logIn = async (): Promise<Result<Token>> => {
    const record: Record = {};
    try {
      const client = clientOf(deps, record);
      if (!client.ok) return client;
      const { token } = await client.value.getAccessToken();
      if (token === null || token === undefined) return fail('blocked', 'credentials-refused', element, 'no token was given');
      const expiresAtMs = client.value.credentials.expiry_date ?? deps.clock.wallMs() + googleLimits.tokenRenewMs;
      // Those of a workload's identity may live for minutes only: not every call shall log in.
      const marginMs = Math.min(googleLimits.tokenRenewMs, (expiresAtMs - deps.clock.wallMs()) / 4);
      current = { token, expiresAtMs, renewAtMs: expiresAtMs - marginMs };
      return ok(current);
    } catch (error) {
      return refusedOf(error, record);
    }
  };
  return {
    token: async (): Promise<Result<Token>> => {
      if (current !== undefined && current.renewAtMs > deps.clock.wallMs()) return ok(current);
      asking ??= logIn().finally(() => void (asking = undefined));
      return asking;
    },
    /** It was refused, whatever its time. */
    forget: (token: string): void => {
      if (current?.token === token) current = undefined;
    },
  };
};
