import { createHash } from 'node:crypto';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import semver from 'semver';
import { isAlias, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { limits } from '@groundplane/protocol/limits';
import type { Clock } from '../port/clock.ts';
import type { Credentials } from './docker-config.ts';
import { readAnswer, type Egress } from './egress.ts';
import { registryLimits } from './limits.ts';
import { basicText } from './oci-auth.ts';
import { pause, retryAfterMs } from './oci-connection.ts';
import { isLoopbackHost } from './egress.ts';

export interface HelmRepository {
  /** `https://charts.example/stable`, the folder of index.yaml. */
  url: string;
  credentials?: Credentials;
  insecure?: boolean;
  ca?: string;
  /** Send the credentials also to other hosts that chart addresses name (`helm --pass-credentials`). */
  passCredentials?: boolean;
}

const entrySchema = z.looseObject({
  name: z.string().max(250),
  version: z.string().max(128),
  urls: z.array(z.string().max(4_096)).max(20).optional(),
  digest: z.string().max(256).nullish(),
  appVersion: z.coerce.string().max(256).nullish(),
  description: z.string().max(65_536).nullish(),
  deprecated: z.boolean().nullish(),
});
export type ChartEntry = z.infer<typeof entrySchema>;

export type ChartIndex = ReadonlyMap<string, readonly ChartEntry[]>;

/** Newest first; what is no semantic version comes last, by name. */
const newestFirst = (a: ChartEntry, b: ChartEntry): number => {
  const [left, right] = [semver.parse(a.version, { loose: true }), semver.parse(b.version, { loose: true })];
  if (left !== null && right !== null) return semver.rcompare(left, right);
  return left === null ? (right === null ? (a.version < b.version ? 1 : -1) : 1) : -1;
};

/**
 * JSON is YAML and parses fifty times faster; large repositories serve either. Real YAML goes through the syntax tree, where aliases are refused: none of the
 * public repositories that were looked at uses one, and they are how a small file becomes a large one.
 */
const parseIndexText = (text: string, element: string): Result<unknown> => {
  if (/^\s*\{/.test(text)) {
    try {
      return ok(JSON.parse(text) as unknown);
    } catch {
      // May still be YAML in braces.
    }
  }
  const document = parseDocument(text, { schema: 'core', uniqueKeys: true, strict: false, logLevel: 'silent' });
  const [error] = document.errors;
  if (error !== undefined)
    return fail('fatal', 'index-invalid', element, `its index.yaml cannot be read: ${error.message.split('\n')[0]?.slice(0, 200) ?? ''}`);
  let aliases = 0;
  visit(document, {
    Alias: (_, node) => {
      if (isAlias(node)) aliases += 1;
      return aliases > limits.yamlAliases ? visit.BREAK : undefined;
    },
  });
  if (aliases > limits.yamlAliases) return fail('fatal', 'index-invalid', element, `its index.yaml has more than ${limits.yamlAliases} aliases`);
  try {
    return ok(document.toJS({ maxAliasCount: limits.yamlAliases }) as unknown);
  } catch (error) {
    return fail('fatal', 'index-invalid', element, `its index.yaml cannot be read: ${(error as Error).message}`);
  }
};

/** Reads index.yaml. Broken entries are left out, as Helm leaves them out; a file without `entries` is no index. */
export const parseIndex = (bytes: Uint8Array, element: string): Result<ChartIndex> => {
  if (bytes.length > registryLimits.helmIndexBytes)
    return fail('fatal', 'index-too-large', element, `its index.yaml has more than ${registryLimits.helmIndexBytes} bytes`);
  const parsed = parseIndexText(Buffer.from(bytes).toString('utf8'), element);
  if (!parsed.ok) return parsed;
  const entries = typeof parsed.value === 'object' && parsed.value !== null && 'entries' in parsed.value ? parsed.value.entries : undefined;
  if (typeof entries !== 'object' || entries === null || Array.isArray(entries))
    return fail('fatal', 'index-invalid', element, 'has no "entries", so it is no index of a Helm repository');
  const index = new Map<string, ChartEntry[]>();
  for (const [name, listed] of Object.entries(entries)) {
    if (!Array.isArray(listed)) continue;
    if (listed.length > registryLimits.helmVersionsPerChart)
      return fail('fatal', 'index-invalid', element, `chart ${name} has more than ${registryLimits.helmVersionsPerChart} versions`);
    const good = listed.map((item) => entrySchema.safeParse(item)).flatMap((item) => (item.success && item.data.name === name ? [item.data] : []));
    if (good.length > 0) index.set(name, good.toSorted(newestFirst));
  }
  return ok(index);
};

/** The newest version that fits; without a constraint the newest that is no pre-release. `1.2.3` may be written `v1.2.3`. */
export const chooseVersion = (entries: readonly ChartEntry[], wanted: string | undefined): ChartEntry | undefined => {
  const constraint = wanted === undefined || wanted === '' || wanted === 'latest' ? '*' : wanted;
  const exact =
    entries.find((entry) => entry.version === constraint) ?? entries.find((entry) => entry.version.replace(/^v/, '') === constraint.replace(/^v/, ''));
  if (exact !== undefined) return exact;
  if (semver.validRange(constraint, { loose: true }) === null) return undefined;
  return entries.find((entry) => semver.satisfies(entry.version, constraint, { loose: true }));
};

export interface FetchedChart {
  name: string;
  version: string;
  bytes: Buffer;
  digest: `sha256:${string}`;
}

const baseOf = (repository: HelmRepository): Result<URL> => {
  const url = URL.parse(repository.url.endsWith('/') ? repository.url : `${repository.url}/`);
  const element = `repository ${repository.url.slice(0, 200)}`;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return fail('fatal', 'registry-malformed', element, 'is no address like https://charts.example/stable');
  if (url.username !== '' || url.password !== '')
    return fail('fatal', 'registry-malformed', `repository ${url.host}`, 'has a password in its address; give it apart');
  if (url.protocol === 'http:' && repository.insecure !== true && !isLoopbackHost(url.hostname))
    return fail('blocked', 'registry-insecure', element, 'is not encrypted. If that is fine here, say --insecure');
  return ok(url);
};

/** A classic Helm repository: index.yaml and chart archives over plain HTTP. */
export const createHelmRepository = (deps: { egress: Egress; clock: Clock }, repository: HelmRepository) => {
  const get = async (home: URL, url: URL, bytesMax: number, element: string): Promise<Result<Buffer>> => {
    let target = url;
    for (let tries = 1, hops = 0; ;) {
      const mayLogin = repository.credentials !== undefined && (target.origin === home.origin || (repository.passCredentials === true && hops === 0));
      const headers = {
        'user-agent': 'groundplane',
        ...(mayLogin && repository.credentials !== undefined ? { authorization: basicText(repository.credentials) } : {}),
      };
      const sent = await deps.egress.send({ method: 'GET', url: target, headers, ca: repository.ca });
      const read = sent.ok && sent.value.status === 200 ? await readAnswer(sent.value, bytesMax, element) : undefined;
      if (read?.ok === true || read?.failure.kind === 'fatal') return read;
      if (sent.ok && read === undefined) sent.value.body.resume();
      const failure = !sent.ok ? sent.failure : read === undefined ? undefined : read.failure;
      const status = sent.ok ? sent.value.status : 0;
      if (failure === undefined && [301, 302, 303, 307, 308].includes(status)) {
        const next = URL.parse((sent.ok ? sent.value.header('location') : undefined) ?? '', target);
        hops += 1;
        if (next === null || hops > registryLimits.redirects)
          return fail('fatal', 'registry-malformed', element, `${target.host} redirects too often, or to nowhere`);
        if (next.protocol !== 'https:' && !(next.protocol === 'http:' && target.protocol === 'http:'))
          return fail('blocked', 'registry-insecure', element, `${target.host} redirects to ${next.origin}, which is not encrypted`);
        target = next;
        continue;
      }
      const isBusy = failure === undefined ? status === 429 || status >= 500 : failure.kind === 'retry';
      if (isBusy && tries < registryLimits.tries) {
        await pause(deps.clock, (sent.ok ? retryAfterMs(sent.value.header('retry-after'), deps.clock.wallMs()) : undefined) ?? 500 * 2 ** tries);
        tries += 1;
        continue;
      }
      if (failure !== undefined) return { ok: false, failure };
      if (status === 401 || status === 403)
        return fail('blocked', 'registry-denied', element, `${target.host} does not let us read it; give a user name and a password`);
      if (status === 404) return fail('blocked', 'artifact-missing', element, `${target.host} does not have it`);
      return fail(status >= 500 || status === 429 ? 'retry' : 'fatal', 'registry-refused', element, `${target.host} answered ${status}`);
    }
  };

  const index = async (): Promise<Result<ChartIndex>> => {
    const home = baseOf(repository);
    if (!home.ok) return home;
    const element = `repository ${home.value.href}`;
    const bytes = await get(home.value, new URL('index.yaml', home.value), registryLimits.helmIndexBytes, element);
    return bytes.ok ? parseIndex(bytes.value, element) : bytes;
  };

  const fetchOne = async (home: URL, entry: ChartEntry): Promise<Result<FetchedChart>> => {
    const element = `chart ${entry.name} ${entry.version}`;
    let last: Result<FetchedChart> = fail('fatal', 'index-invalid', element, 'the index names no address of it');
    for (const text of entry.urls ?? []) {
      const url = URL.parse(text, home);
      if (url === null || (url.protocol !== 'https:' && !(url.protocol === 'http:' && home.protocol === 'http:'))) {
        last = fail('blocked', 'registry-insecure', element, `the index names ${JSON.stringify(text.slice(0, 200))}, which is no encrypted address`);
        continue;
      }
      const bytes = await get(home, url, registryLimits.chartBytes, element);
      if (!bytes.ok) {
        last = bytes;
        continue;
      }
      const hex = createHash('sha256').update(bytes.value).digest('hex');
      // Most repositories have the digest; those without are taken, and their digest is what the profile then pins.
      const announced = entry.digest ?? '';
      if (announced !== '' && announced.replace(/^sha256:/, '').toLowerCase() !== hex)
        return fail('fatal', 'content-wrong', element, `what came has the digest ${hex}, and the index says ${announced.slice(0, 80)}`);
      return ok({ name: entry.name, version: entry.version, bytes: bytes.value, digest: `sha256:${hex}` });
    }
    return last;
  };

  return {
    index,
    /** One chart by name and version or constraint, checked against the digest in the index. */
    fetch: async (name: string, version: string | undefined): Promise<Result<FetchedChart>> => {
      const home = baseOf(repository);
      if (!home.ok) return home;
      const listed = await index();
      if (!listed.ok) return listed;
      const entries = listed.value.get(name);
      if (entries === undefined)
        return fail(
          'blocked',
          'artifact-missing',
          `chart ${name}`,
          `${home.value.href} has no such chart; it has ${[...listed.value.keys()].toSorted().slice(0, 20).join(', ')}`,
        );
      const entry = chooseVersion(entries, version);
      if (entry === undefined)
        return fail(
          'blocked',
          'artifact-missing',
          `chart ${name} ${version ?? ''}`.trim(),
          `no version fits; there are ${entries
            .slice(0, 10)
            .map((item) => item.version)
            .join(', ')}`,
        );
      return fetchOne(home.value, entry);
    },
  };
};
