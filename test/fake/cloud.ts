import type { Http, HttpRequest, HttpResponse } from '@groundplane/hub/port/http';

interface FakeInstance {
  id: string;
  cluster: string;
  name: string;
  pool: string;
  generation: string;
  zone: string;
  userData: string;
  image?: string | undefined;
  state: 'starting' | 'running' | 'failed';
  /** Looks at it until it runs. */
  looksLeft: number;
}

/** A small invented cloud: one network and one address for each cluster, and instances. It answers over `Http`, so that it can be cut, throttled and counted. */
export const fakeCloud = (options: { quota?: number } = {}) => {
  const networks = new Map<string, { id: string; looksLeft: number }>();
  const addresses = new Map<string, { servers: string[] }>();
  const instances = new Map<string, FakeInstance>();
  const log: string[] = [];
  let made = 0;
  let isBlind = false;
  const refusedZones = new Set<string>();
  let newestImage = 'debian-13-1';
  const answer = (status: number, body: unknown): HttpResponse => ({ status, headers: {}, body: Buffer.from(JSON.stringify(body)) });

  const listed = (cluster: string | undefined): FakeInstance[] =>
    [...instances.values()].filter((item) => {
      if (isBlind || (cluster !== undefined && item.cluster !== cluster)) return false;
      if (item.state === 'starting' && (item.looksLeft -= 1) <= 0) item.state = 'running';
      return true;
    });

  const onInstances = (request: HttpRequest, cluster: string | undefined, name: string | undefined): HttpResponse => {
    if (request.method === 'GET') return answer(200, listed(cluster));
    const body = JSON.parse(String(request.body ?? '{}')) as Omit<FakeInstance, 'id' | 'state' | 'looksLeft'>;
    if (request.method === 'POST') {
      if (instances.size >= (options.quota ?? Number.POSITIVE_INFINITY)) return answer(403, { code: 'quota' });
      if (refusedZones.has(body.zone)) return answer(400, { message: `there is no zone ${body.zone}` });
      made += 1;
      // No uniqueness of names: whoever makes one twice has two.
      instances.set(`i-${made}`, { ...body, id: `i-${made}`, state: 'starting', looksLeft: 2 });
      return answer(200, { id: `i-${made}` });
    }
    instances.delete(name ?? '');
    return answer(200, {});
  };

  const respond = (request: HttpRequest): HttpResponse => {
    const url = new URL(request.url);
    log.push(`${request.method} ${url.pathname}`);
    if (request.headers['authorization'] !== 'right') return answer(401, { code: 'credentials' });
    const [, what, id] = url.pathname.split('/');
    const cluster = url.searchParams.get('cluster') ?? undefined;
    if (what === 'instances') return onInstances(request, cluster, id);
    if (what === 'images') return answer(200, { exact: newestImage });
    if (what === 'tagged')
      return answer(
        200,
        [...networks.keys()]
          .map((key) => ({ thing: `network ${key}`, cluster: key }))
          .concat([...instances.values()].map((item) => ({ thing: `instance ${item.id}`, cluster: item.cluster }))),
      );
    const table = what === 'networks' ? networks : addresses;
    const key = id ?? '';
    if (request.method === 'GET') {
      const found = networks.get(key);
      if (what === 'networks' && found !== undefined) found.looksLeft -= 1;
      return table.has(key) && !isBlind ? answer(200, what === 'networks' ? { ready: (found?.looksLeft ?? 0) <= 0 } : addresses.get(key)) : answer(404, {});
    }
    if (request.method === 'DELETE') return table.delete(key) ? answer(200, {}) : answer(404, {});
    if (what === 'networks') networks.set(key, { id: key, looksLeft: 2 });
    else addresses.set(key, JSON.parse(String(request.body)) as { servers: string[] });
    return answer(200, {});
  };

  return {
    http: ((request) => Promise.resolve({ ok: true as const, value: respond(request) })) satisfies Http,
    inventory: (): string[] => [
      ...[...networks.keys()].map((key) => `network ${key}`),
      ...[...addresses.keys()].map((key) => `address ${key}`),
      ...[...instances.values()].map((item) => `instance ${item.cluster} ${item.name}`),
    ],
    instances: (): FakeInstance[] => [...instances.values()],
    servers: (cluster: string): string[] => addresses.get(cluster)?.servers ?? [],
    remove: (cluster: string, name: string): void => {
      for (const item of instances.values()) if (item.cluster === cluster && item.name === name) instances.delete(item.id);
    },
    fail: (cluster: string, name: string): void => {
      for (const item of instances.values()) if (item.cluster === cluster && item.name === name) item.state = 'failed';
    },
    setQuota: (quota: number | undefined): void => void (options.quota = quota ?? Number.POSITIVE_INFINITY),
    refuseZone: (zone: string): void => void refusedZones.add(zone),
    /** It shows nothing, as for an account that lost a right, or is another one. */
    blind: (is: boolean): void => void (isBlind = is),
    /** A newer image of whatever is asked for. */
    publish: (image: string): void => void (newestImage = image),
    log,
  };
};
export type FakeCloud = ReturnType<typeof fakeCloud>;
