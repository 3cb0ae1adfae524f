import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { HttpResponse } from '../../port/http.ts';
import type { ProviderDeps } from '../../port/provider.ts';
import { failureOfFault, failureOfStatus, faultOfBody, type Fault } from './failures.ts';
import { childOf, childrenOf, envelope, parseXml, refOf, textOf, type Node, type Ref, type SoapFields } from './soap.ts';

/** The managed objects that everything begins from. */
export interface Content {
  root: Ref;
  properties: Ref;
  search: Ref;
  sessions: Ref;
  authorization: Ref | undefined;
  tasks: Ref | undefined;
  about: { name: string; apiVersion: string; instance: string | undefined };
}
export interface Login {
  content: Content;
  user: string;
}
/** Answer of a call: its `returnval`s. A fault is a value here; callers that expect one look at it first. */
export type Called = { ok: true; value: readonly Node[] } | { ok: false; fault: Fault; failure: Extract<Result<never>, { ok: false }>['failure'] };

type Deps = Pick<ProviderDeps<'vsphere'>, 'settings' | 'secret' | 'http'>;

const endpointOf = (url: string): string => {
  const trimmed = url.replace(/\/+$/, '');
  return trimmed.endsWith('/sdk') ? trimmed : `${trimmed}/sdk`;
};
const noFault: Fault = { type: '', words: '', detail: undefined };
const cookiePattern = /vmware_soap_session=("[^"]*"|[^;,\s]*)/;

/** Logged in to one vCenter; logs in again when it forgot us. */
export const createSession = ({ settings, secret, http }: Deps) => {
  const url = endpointOf(settings.url);
  let cookie: string | undefined;
  let current: Login | undefined;
  let login: Promise<Result<Login>> | undefined;

  const send = async (method: string, target: Ref, fields: SoapFields, withCookie: string | undefined): Promise<Result<HttpResponse>> =>
    http({
      method: 'POST',
      url,
      headers: {
        'content-type': 'text/xml; charset=utf-8',
        // The oldest dialect that is understood here: 6.7, which every later vCenter speaks.
        soapaction: '"urn:vim25/6.7"',
        ...(withCookie === undefined ? {} : { cookie: `vmware_soap_session=${withCookie}` }),
      },
      body: envelope(method, target, fields),
    });

  const ask = async (method: string, target: Ref, fields: SoapFields): Promise<Called> => {
    const element = `vSphere ${method} ${target.id}`;
    const sent = await send(method, target, fields, cookie);
    if (!sent.ok) return { ...sent, fault: noFault };
    const given = cookiePattern.exec(sent.value.headers['set-cookie'] ?? '')?.[1];
    if (given !== undefined && given !== '') cookie = given;
    const body = parseXml(sent.value.body);
    const fault = faultOfBody(body);
    if (fault !== undefined) return { ...failureOfFault(fault, element), fault };
    const answer = childOf(body, 'Envelope', 'Body', `${method}Response`);
    if (sent.value.status >= 300 || answer === undefined) return { ...failureOfStatus(sent.value, element), fault: noFault };
    return { ok: true, value: childrenOf(answer, 'returnval') };
  };

  const logIn = async (): Promise<Result<Login>> => {
    cookie = undefined;
    const found = await ask('RetrieveServiceContent', { type: 'ServiceInstance', id: 'ServiceInstance' }, {});
    if (!found.ok) return found;
    const [node] = found.value;
    const need = (name: string): Ref | undefined => refOf(childOf(node, name), name);
    const [root, properties, search, sessions] = [need('rootFolder'), need('propertyCollector'), need('searchIndex'), need('sessionManager')];
    if (root === undefined || properties === undefined || search === undefined || sessions === undefined)
      return fail('retry', 'cloud-failed', `vSphere ${settings.url}`, 'its answer names no root folder. Is this the address of a vCenter?');
    const about = {
      name: textOf(node, 'about', 'fullName') ?? 'vSphere',
      apiVersion: textOf(node, 'about', 'apiVersion') ?? '',
      instance: textOf(node, 'about', 'instanceUuid'),
    };
    const content: Content = { root, properties, search, sessions, authorization: need('authorizationManager'), tasks: need('taskManager'), about };
    const made = await ask('Login', sessions, { userName: secret.username, password: secret.password });
    if (!made.ok) return made;
    current = { content, user: textOf(made.value[0], 'userName') ?? secret.username };
    return ok(current);
  };
  /** However many wait for a session: one login. */
  const open = async (): Promise<Result<Login>> => {
    if (current !== undefined) return ok(current);
    login ??= logIn().finally(() => void (login = undefined));
    return login;
  };

  const call = async (method: string, target: Ref, fields: SoapFields): Promise<Called> => {
    for (let attempt = 1; ; attempt += 1) {
      const known = await open();
      if (!known.ok) return { ...known, fault: noFault };
      const answer = await ask(method, target, fields);
      if (answer.ok || answer.fault.type !== 'NotAuthenticated' || attempt > 1) return answer;
      // Ended by the vCenter, or by a restart of it.
      if (current === known.value) current = undefined;
    }
  };
  return { open, call };
};
export type Session = ReturnType<typeof createSession>;
