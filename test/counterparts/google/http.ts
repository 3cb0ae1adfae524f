import { generateKeyPairSync, verify } from 'node:crypto';
import type { Http } from '@groundplane/hub/port/http';
import { systemClock } from '@groundplane/hub/system/clock';
import type { ControlPlaneOf, ReviewToken } from '../control-plane.ts';
import { createTokens, reviewWith, type Tokens } from '../issued-tokens.ts';
import { answerCompute, linkOf } from './compute.ts';
import { answerContainer } from './container.ts';
import { complaints, loadRoutes } from './descriptions.ts';
import { createStore, Refused, type Store } from './store.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
export const googleAccount = {
  project: 'shop-1',
  region: 'europe-west1',
  zone: 'europe-west1-b',
  email: 'groundplane@shop-1.iam.gserviceaccount.com',
} as const;

/** A key file as `gcloud iam service-accounts keys create` writes it. */
export const keyFile = (email: string = googleAccount.email): string =>
  JSON.stringify({ type: 'service_account', project_id: googleAccount.project, private_key_id: '0a', private_key: privateKey, client_email: email, client_id: '1', token_uri: 'https://oauth2.googleapis.com/token' }); // prettier-ignore

const json = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  ok: true as const,
  value: { status, headers: { 'content-type': 'application/json', ...headers }, body: Buffer.from(JSON.stringify(body)) },
});

const statuses: Readonly<Record<number, string>> = { 400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND', 409: 'ALREADY_EXISTS', 412: 'FAILED_PRECONDITION' }; // prettier-ignore
export const refusal = (status: number, reason: string, message: string) => ({
  error: {
    code: status,
    message,
    status: /^[A-Z_]+$/.test(reason) ? reason : (statuses[status] ?? 'UNKNOWN'),
    errors: [{ message, domain: 'global', reason }],
  },
});

const partOf = (text: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(text ?? '', 'base64url').toString() || '{}') as Record<string, unknown>;

/** Google's own answer to an assertion (RFC 7523): signed by the account's key, made out to the login, not over, and by an account that is there. */
const login = (tokens: Tokens, body: string) => {
  const [head, claimed, signature] = (new URLSearchParams(body).get('assertion') ?? '').split('.');
  const claims = partOf(claimed);
  const refused = (text: string) => json(400, { error: 'invalid_grant', error_description: text });
  if (claims['iss'] !== googleAccount.email) return refused('Invalid grant: account not found');
  if (partOf(head)['alg'] !== 'RS256' || !verify('RSA-SHA256', Buffer.from(`${head}.${claimed}`), publicKey, Buffer.from(signature ?? '', 'base64url')))
    return refused('Invalid JWT Signature.');
  if (claims['aud'] !== 'https://oauth2.googleapis.com/token') return refused('Invalid JWT: Failed audience check.');
  if (!(Number(claims['exp']) * 1_000 > systemClock.wallMs())) return refused('Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.'); // prettier-ignore
  const access_token = tokens.issue(googleAccount.email, String(claims['scope']));
  return json(200, { access_token, expires_in: tokens.state.lifeSeconds, token_type: 'Bearer' });
};

/** What GKE's API server says about a token: the account's, for all of Google Cloud; what it may do there comes from IAM, here everything. */
const forGke = (tokens: Tokens): ReviewToken =>
  reviewWith(tokens, (issued) =>
    issued.for.split(' ').includes('https://www.googleapis.com/auth/cloud-platform') ? undefined : 'the token has not the scope that GKE needs',
  );

/** What a project has before anybody makes anything. */
const furnish = (store: Store): void => {
  const project = `/projects/${googleAccount.project}`;
  const zones = ['b', 'c', 'd'].map((letter) => `${googleAccount.region}-${letter}`);
  const put = (path: string, thing: Record<string, unknown>): void =>
    void store.things.set(path, { name: path.split('/').at(-1) ?? '', selfLink: linkOf(path), id: store.nextId(), ...thing });
  put(`${project}/regions/${googleAccount.region}`, { status: 'UP', zones: zones.map((zone) => linkOf(`${project}/zones/${zone}`)) });
  for (const zone of zones) put(`${project}/zones/${zone}/machineTypes/n2-standard-2`, { guestCpus: 2, memoryMb: 8_192 });
  put(`${project}/global/networks/default`, { autoCreateSubnetworks: true });
};

const answer = (store: Store, method: string, url: URL, body: string): unknown => {
  store.tick();
  const path = decodeURIComponent(url.pathname);
  const route = loadRoutes().find((item) => item.verb === method && item.path.test(path));
  if (route === undefined) throw new Refused(404, 'notFound', `no method ${method} ${path} is described`);
  const parsed = body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
  const wrong = route.body === undefined || body === '' ? [] : complaints(route.body, parsed);
  if (wrong.length > 0) throw new Refused(400, 'badRequest', `Invalid JSON payload received. ${wrong.slice(0, 5).join('; ')}`);
  const said =
    route.service === 'ClusterManager'
      ? answerContainer(store, route, path.replace('/v1', ''), parsed)
      : answerCompute(store, route, path.replace('/compute/v1', ''), url.searchParams, parsed);
  // A model that lies would prove nothing.
  const lies = complaints(route.answer, said);
  if (lies.length > 0) throw new Error(`the counterpart's answer to ${route.service}.${route.method} is wrong: ${lies.slice(0, 5).join('; ')}`);
  return said;
};

/** All of Google's doors in this process: no socket, no certificate. */
export const googleHttp = (controlPlane: ControlPlaneOf = () => undefined): { http: Http; store: Store; tokens: Tokens; review: ReviewToken } => {
  const store = createStore(controlPlane);
  const tokens = createTokens('ya29.');
  furnish(store);
  // Reading the protos takes a while; not within somebody's first call.
  loadRoutes();
  const http: Http = async ({ method, url, headers, body }) => {
    const at = new URL(url);
    const text = body === undefined ? '' : Buffer.from(body as Uint8Array).toString('utf8');
    if (at.hostname === 'oauth2.googleapis.com') return login(tokens, text);
    if (tokens.look((headers['authorization'] ?? '').replace(/^Bearer /, '')) === undefined)
      return json(401, refusal(401, 'authError', 'Request had invalid authentication credentials.'));
    // No client here has this method; its shape is the one of Google's reference.
    if (at.hostname === 'cloudresourcemanager.googleapis.com') return json(200, { permissions: (JSON.parse(text) as { permissions: string[] }).permissions });
    try {
      return json(200, JSON.parse(JSON.stringify(answer(store, method, at, text))));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return json(error.status, refusal(error.status, error.reason, error.message));
    }
  };
  return { http, store, tokens, review: forGke(tokens) };
};
