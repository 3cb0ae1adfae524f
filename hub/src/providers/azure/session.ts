import { AsyncLocalStorage } from 'node:async_hooks';
import { ComputeManagementClient } from '@azure/arm-compute';
import { ContainerServiceClient } from '@azure/arm-containerservice';
import { NetworkManagementClient } from '@azure/arm-network';
import { ResourceManagementClient } from '@azure/arm-resources';
import { createHttpHeaders, type HttpClient, type PipelineRequest } from '@azure/core-rest-pipeline';
import { ClientCertificateCredential, ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential } from '@azure/identity';
import { fail, FailureError, ok, type Result } from '@groundplane/protocol/failure';
import type { Http } from '../../port/http.ts';
import type { ProviderDeps } from '../../port/provider.ts';
import { failureOf, refusalOf, type Recorded } from './failures.ts';
import { azureLimits } from './limits.ts';

type Settings = ProviderDeps<'azure'>['settings'];

/** Where each cloud's Azure Resource Manager and Entra live. */
const clouds = {
  public: { endpoint: 'https://management.azure.com', authority: 'https://login.microsoftonline.com' },
  china: { endpoint: 'https://management.chinacloudapi.cn', authority: 'https://login.chinacloudapi.cn' },
  government: { endpoint: 'https://management.usgovcloudapi.net', authority: 'https://login.microsoftonline.us' },
} as const;

interface Token {
  token: string;
  expiresOnTimestamp: number;
}
interface Credential {
  getToken(scopes: string | string[]): Promise<Token | null>;
}

const bodyOf = (request: PipelineRequest): string | Uint8Array | undefined => {
  const { body } = request;
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  throw new FailureError(fail('fatal', 'cloud-refused', request.url, 'its body is a stream, which no call here needs').failure);
};

/** One call of ours may be several of the SDK's; what the door answered last is kept, however the SDK wraps it. */
const recorder = new AsyncLocalStorage<Recorded>();

/** The SDKs' way out. Nothing is compressed: answers are bounded before they are unpacked. */
const httpClientOf = (http: Http): HttpClient => ({
  sendRequest: async (request) => {
    const { 'accept-encoding': _compressed, ...headers } = request.headers.toJSON();
    const body = bodyOf(request);
    const answer = await http({ method: request.method, url: request.url, headers, ...(body === undefined ? {} : { body }) });
    const record = recorder.getStore();
    if (!answer.ok) {
      if (record !== undefined) record.failure = answer.failure;
      throw new FailureError(answer.failure);
    }
    const { status, headers: given, body: bytes } = answer.value;
    if (record !== undefined) record.status = status;
    return { request, status, headers: createHttpHeaders(given), bodyAsText: bytes.toString('utf8') };
  },
});

const credentialOf = ({ settings, secret, http }: ProviderDeps<'azure'>): Result<Credential> => {
  const authorityHost = settings.authority ?? clouds[settings.cloud].authority;
  // Another authority than Microsoft's own cannot be asked about by instance discovery.
  const options = {
    authorityHost,
    httpClient: httpClientOf(http),
    retryOptions: { maxRetries: 0 },
    disableInstanceDiscovery: true,
    additionallyAllowedTenants: [],
  };
  if (secret.type === 'identity') {
    const file = process.env['AZURE_FEDERATED_TOKEN_FILE'];
    const { tenantId, clientId } = settings;
    if (file !== undefined) return ok(new WorkloadIdentityCredential({ ...options, tenantId, ...(clientId === undefined ? {} : { clientId }) }));
    // The address of a machine's own identity is closed to everything that comes through the door; only this client goes there.
    return ok(new ManagedIdentityCredential({ retryOptions: { maxRetries: 0 }, ...(clientId === undefined ? {} : { clientId }) }));
  }
  if (settings.clientId === undefined)
    return fail('blocked', 'credentials-refused', 'Azure login', 'the account has no clientId, which its secret belongs to. Add it: gp cloud account');
  return ok(
    secret.type === 'client-secret'
      ? new ClientSecretCredential(settings.tenantId, settings.clientId, secret.clientSecret, options)
      : new ClientCertificateCredential(settings.tenantId, settings.clientId, { certificate: secret.certificate }, options),
  );
};

/** MSAL keeps a refusal to itself and repeats it without asking; how long to wait is the account's budget to decide, so a new client asks again. */
const forgetful = (make: () => Result<Credential>): Credential & { forget: () => void } => {
  let current: Credential | undefined;
  return {
    forget: () => void (current = undefined),
    getToken: async (scopes) => {
      if (current === undefined) {
        const made = make();
        if (!made.ok) throw new FailureError(made.failure);
        current = made.value;
      }
      try {
        return await current.getToken(scopes);
      } catch (error) {
        current = undefined;
        throw error;
      }
    },
  };
};

const createClients = (deps: ProviderDeps<'azure'>, credential: Credential, endpoint: string, subscription: string) => {
  const options = {
    endpoint,
    httpClient: httpClientOf(deps.http),
    retryOptions: { maxRetries: 0 },
    credentials: { scopes: [`${clouds[deps.settings.cloud].endpoint}/.default`] },
    ...(endpoint.startsWith('http:') ? { allowInsecureConnection: true } : {}),
  };
  return {
    compute: new ComputeManagementClient(credential, subscription, options),
    network: new NetworkManagementClient(credential, subscription, options),
    resources: new ResourceManagementClient(credential, subscription, options),
    containers: new ContainerServiceClient(credential, subscription, options),
  };
};
export type Clients = ReturnType<typeof createClients>;

/** Runs what calls an SDK; exceptions end here. */
export const call = async <T>(element: string, act: () => Promise<T>): Promise<Result<T>> => {
  const record: Recorded = {};
  try {
    return ok(await recorder.run(record, act));
  } catch (error) {
    return failureOf(element, error, record);
  }
};

/** Undefined for what is not there. */
export const find = async <T>(element: string, act: () => Promise<T>): Promise<Result<T | undefined>> =>
  call(element, async () => {
    try {
      return await act();
    } catch (error) {
      const { status, code } = refusalOf(error);
      if (status === 404 && code !== 'SubscriptionNotFound' && code !== 'InvalidResourceType') return undefined;
      throw error;
    }
  });

/** Sends a long operation off and does not wait for its end. What is gone already is as good as deleted. */
export const submit = async (element: string, start: () => { submitted(): Promise<void> }): Promise<Result<void>> => call(element, () => start().submitted());

/** All pages of a list; an absent resource group has none. */
export const collect = async <T>(element: string, start: () => AsyncIterable<T>): Promise<Result<T[]>> => {
  const found = await find(element, async () => {
    const items: T[] = [];
    for await (const item of start()) {
      if (items.length >= azureLimits.listItems)
        throw new FailureError(fail('blocked', 'cloud-refused', element, `more than ${azureLimits.listItems} in one list`).failure);
      items.push(item);
    }
    return items;
  });
  return found.ok ? ok(found.value ?? []) : found;
};

export const createSession = (deps: ProviderDeps<'azure'>) => {
  const endpoint = deps.settings.endpoint?.replace(/\/+$/, '') ?? clouds[deps.settings.cloud].endpoint;
  const credential = forgetful(() => credentialOf(deps));
  const bySubscription = new Map<string, Clients>();
  const token = async (scope = `${clouds[deps.settings.cloud].endpoint}/.default`): Promise<Result<Token>> => {
    const given = await call('Azure login', () => credential.getToken(scope));
    if (!given.ok) return given;
    return given.value === null ? fail('blocked', 'credentials-refused', 'Azure login', 'no token was given') : ok(given.value);
  };
  return {
    settings: deps.settings,
    token,
    /** A token was refused before its end, and MSAL keeps it to that. */
    forget: credential.forget,
    clients: (subscription: string | undefined = deps.settings.subscription): Result<Clients & { subscription: string }> => {
      if (subscription === undefined)
        return fail('blocked', 'choice-missing', 'Azure subscription', 'neither the placement nor the account names one. Add it: gp cloud account');
      const known = bySubscription.get(subscription) ?? createClients(deps, credential, endpoint, subscription);
      bySubscription.set(subscription, known);
      return ok({ ...known, subscription });
    },
    /** For the few calls that none of the SDKs here has. */
    get: async (path: string): Promise<Result<unknown>> => {
      const known = await token();
      if (!known.ok) return known;
      const element = `Azure GET ${path.split('?')[0]}`;
      const answer = await deps.http({ method: 'GET', url: `${endpoint}${path}`, headers: { authorization: `Bearer ${known.value.token}` } });
      if (!answer.ok) return answer;
      return call(element, async () => {
        const body: unknown = JSON.parse(answer.value.body.toString('utf8') || '{}');
        if (answer.value.status >= 400) throw Object.assign(new Error('refused'), { statusCode: answer.value.status, details: body });
        return body;
      });
    },
  };
};
export type Session = ReturnType<typeof createSession>;
export type { Settings, Token };
