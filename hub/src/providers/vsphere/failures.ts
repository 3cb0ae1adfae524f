import { fail, type Failure } from '@groundplane/protocol/failure';
import type { HttpResponse } from '../../port/http.ts';
import { throttledBy } from '../throttled.ts';
import { vsphereLimits } from './limits.ts';
import { childOf, parseXml, textOf, typeOf, type Node } from './soap.ts';
import { cleanWords } from '../words.ts';

/** What vSphere says when it refuses: the type of its fault, its words, and the fault itself. */
export interface Fault {
  type: string;
  words: string;
  detail: Node | undefined;
}

const clean = cleanWords(vsphereLimits.wordsLength);

/** Of a refused call: `<Fault><faultstring/><detail><NoPermissionFault xsi:type="NoPermission">…`. */
export const faultOfBody = (body: Node | undefined): Fault | undefined => {
  const fault = childOf(body, 'Envelope', 'Body', 'Fault');
  if (fault === undefined) return undefined;
  const [name, details] = Object.entries(childOf(fault, 'detail')?.children ?? {})[0] ?? ['', []];
  const detail = details[0];
  return { type: typeOf(detail) || name.replace(/Fault$/, ''), words: clean(textOf(fault, 'faultstring') ?? ''), detail };
};

/** Of a task that failed: a LocalizedMethodFault. */
export const faultOfTask = (error: Node): Fault => {
  const detail = childOf(error, 'fault');
  return { type: typeOf(detail) || 'unknown', words: clean(textOf(error, 'localizedMessage') ?? ''), detail };
};

type Code = [kind: Failure['kind'], code: string, advice: string];
/** Faults by the ends or beginnings of their names; the first that fits counts. */
const table: readonly [pattern: RegExp, ...Code][] = [
  [/^(InvalidLogin|PasswordExpired|NoClientCertificate|InvalidLocale)$/, 'blocked', 'credentials-refused', 'Check user and password of the account; a user has its domain with it: groundplane@vsphere.local'], // prettier-ignore
  [/^NotAuthenticated$/, 'retry', 'cloud-conflict', 'the session ended; the next round logs in again'],
  [/^(NoPermission|RestrictedByAdministrator)/, 'blocked', 'permission-missing', 'Give the role of the account this privilege there; the whole list is in the README of the provider'], // prettier-ignore
  [/^(NoDiskSpace|NoDiskFound|NotEnoughLicenses|LicenseRestricted|VmLimitLicense|QuotaExceeded|InsufficientStorageSpace|NotEnoughCpus)/, 'blocked', 'quota-reached', 'Free some, or ask the administrator of the vCenter for more'], // prettier-ignore
  [/^Insufficient(Memory|Cpu)?ResourcesFault$/, 'blocked', 'quota-reached', 'Its resource pool has not enough: free some, or raise its limits'],
  [/^(Insufficient|NoCompatibleHost|NoSuitableHost|NoAvailableHost)/, 'retry', 'capacity-missing', ''],
  [/^(DuplicateName|AlreadyExists|TaskInProgress|ConcurrentAccess|ResourceInUse|InvalidPowerState|InvalidState|ManagedObjectNotFound|NotFound|FileLocked|FileAlreadyExists|RequestCanceled)/, 'retry', 'cloud-conflict', ''], // prettier-ignore
  [/^(HostNotConnected|HostCommunication|HostNotReachable|Timedout|SystemError|HostConnectFault|NetworkDisruptedAndConfigRolledBack|unknown)/, 'retry', 'cloud-failed', ''], // prettier-ignore
];

/** The privilege that is missing and on what, or the property that is wrong: faults carry them beside their words. */
const particulars = ({ detail }: Fault): string => {
  const privilege = textOf(detail, 'privilegeId');
  const object = textOf(detail, 'object');
  const property = textOf(detail, 'invalidProperty');
  if (privilege !== undefined) return ` (privilege ${privilege}${object === undefined ? '' : ` on ${object}`})`;
  return property === undefined ? '' : ` (property ${property})`;
};

export const failureOfFault = (fault: Fault, element: string): { ok: false; failure: Failure } => {
  const [, kind, code, advice] = table.find(([pattern]) => pattern.test(fault.type)) ?? [/$/, 'fatal', 'cloud-refused', ''];
  const words = `${fault.words || 'it refused'} [${fault.type}]${particulars(fault)}`;
  return fail(kind, code, element, advice === '' ? words : `${words}. ${advice}`);
};

/** Of an answer that is no SOAP: a proxy's, or a vCenter's whose services are just starting. */
export const failureOfStatus = (response: HttpResponse, element: string): { ok: false; failure: Failure } => {
  const { status, body } = response;
  const words = clean(body.toString('utf8', 0, 4_096).replaceAll(/<[^>]*>/g, ' ')).slice(0, 200);
  const throttled = throttledBy(response, element);
  if (throttled !== undefined) return throttled;
  if (status === 401) return fail('blocked', 'credentials-refused', element, `${words} (${status})`);
  if (status === 403) return fail('blocked', 'permission-missing', element, `${words} (${status}); a proxy in between?`);
  if (status >= 500) return fail('retry', 'cloud-failed', element, `it answered ${status}: ${words}`);
  return fail('retry', 'cloud-failed', element, `the answer (${status}) is not vSphere's: ${words}. Is the address of the account right?`);
};

export const faultOfResponse = (response: HttpResponse): Fault | undefined => faultOfBody(parseXml(response.body));
