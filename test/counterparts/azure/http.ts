import type { Http } from '@groundplane/hub/port/http';
import type { ControlPlaneOf, ReviewToken } from '../control-plane.ts';
import { createTokens, reviewWith, type Tokens } from '../issued-tokens.ts';
import { createArm, type Arm } from './arm.ts';

export const azureAccount = {
  tenantId: '11111111-1111-4111-8111-111111111111',
  clientId: '22222222-2222-4222-8222-222222222222',
  clientSecret: 'right',
  subscription: '33333333-3333-4333-8333-333333333333',
} as const;
/** The application that stands for every AKS cluster in Entra (Microsoft's documentation of kubelogin). */
const aksServerApp = '6dae42f8-4368-4678-94ff-3960e28e3630';

const json = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  ok: true as const,
  value: {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
  },
});

/** Entra's answers, as far as a client with a secret sees them (OAuth 2.0 client credentials; the error is Entra's own for a wrong secret). */
const entra = (tokens: Tokens, url: URL, body: string) => {
  const base = `${url.origin}/${url.pathname.split('/')[1]}`;
  if (url.pathname.endsWith('/.well-known/openid-configuration'))
    return json(200, {
      token_endpoint: `${base}/oauth2/v2.0/token`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      issuer: `${base}/v2.0`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
    });
  const form = new URLSearchParams(body);
  if (url.pathname.endsWith('/oauth2/v2.0/token') && form.get('client_secret') === azureAccount.clientSecret) {
    const access_token = tokens.issue(azureAccount.clientId, form.get('scope') ?? '');
    return json(200, { token_type: 'Bearer', expires_in: tokens.state.lifeSeconds, ext_expires_in: tokens.state.lifeSeconds, access_token });
  }
  return json(401, {
    error: 'invalid_client',
    error_description: "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '22222222-2222-4222-8222-222222222222'.", // prettier-ignore
    error_codes: [7_000_215],
  });
};

/** What an AKS cluster without local accounts says about a token of Entra: made out to AKS, and of somebody whom a role lets do everything. */
const forAks = (tokens: Tokens): ReviewToken =>
  reviewWith(tokens, (issued) => (issued.for.split('/')[0] === aksServerApp ? undefined : `the token is for ${issued.for}, not for AKS`));

/** Both of Azure's doors in this process: no socket, no certificate. */
export const azureHttp = async (controlPlane: ControlPlaneOf = () => undefined): Promise<{ http: Http; arm: Arm; tokens: Tokens; review: ReviewToken }> => {
  const arm = await createArm(controlPlane);
  const tokens = createTokens('eyJ0eXAi.');
  const http: Http = async ({ method, url, headers, body }) => {
    const at = new URL(url);
    const text = body === undefined ? '' : Buffer.from(body as Uint8Array).toString('utf8');
    if (at.hostname === 'login.microsoftonline.com') return entra(tokens, at, text);
    if (at.hostname !== 'management.azure.com') return json(502, { error: { code: 'BadGateway', message: `nobody is at ${at.hostname}` } });
    const given = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key.toLowerCase(), value]));
    if (tokens.look((given['authorization'] ?? '').replace(/^Bearer /, ''))?.for !== 'https://management.azure.com/.default')
      return json(401, { error: { code: 'InvalidAuthenticationToken', message: 'The access token is invalid.' } }, { 'www-authenticate': 'Bearer' });
    const answer = arm.handle({ method, url: at, headers: given, body: text });
    return json(answer.status, answer.body, answer.headers);
  };
  return { http, arm, tokens, review: forAks(tokens) };
};
