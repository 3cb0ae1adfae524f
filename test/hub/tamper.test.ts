import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifySignature } from '@groundplane/agent/identity/key';
import { isTrustedRoot, verifyDesired, type VerifyInput } from '@groundplane/agent/link/verify';
import type { DesiredRecord } from '@groundplane/agent/store/state';
import { createAssigner } from '@groundplane/hub/reconcile/assign';
import { systemClock } from '@groundplane/hub/system/clock';
import { makeHubKeys } from '@groundplane/hub/trust/keys';
import { digestOf } from '@groundplane/protocol/digest';
import { parseHubFrame } from '@groundplane/protocol/frame';
import { desiredLeaf, merkleTree } from '@groundplane/protocol/merkle';
import type { DesiredMessage } from '@groundplane/protocol/messages';
import { applyCluster, applyProfile, enrolledHost, makeTenant, openHub, until, type HubWorld } from './world.ts';

let hub: HubWorld;
beforeEach(async () => {
  hub = await openHub();
});
afterEach(async () => hub.close());

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Real messages, as two hosts of one change got them: a whole bundle, then a patch against it. */
const realMessages = async (): Promise<{ first: DesiredMessage; patched: DesiredMessage; other: DesiredMessage; host: string; otherHost: string }> => {
  const one = await enrolledHost(hub, 'one');
  const two = await enrolledHost(hub, 'two');
  await applyProfile(hub.admin, 'web', '1.0.0');
  await applyProfile(hub.admin, 'db', '1.0.0');
  await applyProfile(hub.admin, 'web', '2.0.0');
  // Both profiles change, so that the host may take no release on the word of the bundle that it holds.
  await applyProfile(hub.admin, 'db', '2.0.0', '1.0.0');
  const cluster = (version: string) =>
    hub.admin.call('applyCluster', {
      params: { project: 'default', name: 'shop' },
      body: {
        spec: {
          profiles: [
            { name: 'web', version },
            { name: 'db', version },
          ],
          hosts: ['one', 'two'],
        },
      },
    });
  await cluster('1.0.0');
  const first = await one.line.hear('desired');
  const other = await two.line.hear('desired');
  one.line.heard.length = 0;
  await cluster('2.0.0');
  const patched = await one.line.hear('desired');
  expect(patched.patch).toBeDefined();
  return { first, patched, other, host: one.id, otherHost: two.id };
};

const inputFor = (message: DesiredMessage, host: string, base?: DesiredRecord): VerifyInput => ({
  message,
  root: hub.keys.root.signed,
  host,
  tenant: hub.tenant,
  epoch: hub.epoch,
  base,
  verify: verifySignature,
});

/** What a host does with a text from the line: parse, then verify. Undefined: refused. */
const take = (text: string, host: string, base?: DesiredRecord): DesiredRecord | undefined => {
  const message = parseHubFrame(text);
  if (!message.ok || message.value.t !== 'desired') return undefined;
  const record = verifyDesired(inputFor(message.value, host, base));
  return record.ok ? record.value : undefined;
};

const flip = (text: string, at: number): string => {
  const sign = text.charAt(at);
  return text.slice(0, at) + (sign === 'a' ? 'b' : 'a') + text.slice(at + 1);
};

/** Every way to spoil one place: other values of its kind, other kinds, and nothing at all. */
const spoiled = (value: Json): (Json | undefined)[] => {
  if (typeof value === 'string')
    return [
      flip(value, 0),
      flip(value, value.length - 1),
      flip(value, value.length >> 1),
      `${value}a`,
      value.slice(1),
      '',
      value.toUpperCase(),
      null,
      1,
      undefined,
    ];
  if (typeof value === 'number') return [value + 1, value - 1, -value, value * 2 ** 20, 0.5, String(value), null, undefined];
  if (typeof value === 'boolean') return [!value, null, undefined];
  if (Array.isArray(value)) return [[], [...value, ...value], value.toReversed(), value.slice(1), {}, null, undefined];
  return [{}, null, [], undefined];
};

interface Mutant {
  place: string;
  text: string;
}

const mutantsOf = (message: Json): Mutant[] => {
  const mutants: Mutant[] = [];
  const visit = (value: Json, place: string[], put: (value: Json | undefined) => Json): void => {
    for (const item of spoiled(value)) {
      if (JSON.stringify(item) === JSON.stringify(value)) continue;
      mutants.push({ place: place.join('.'), text: JSON.stringify(put(item)) });
    }
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      value.forEach((item, index) =>
        visit(item, [...place, String(index)], (next) => put(next === undefined ? value.toSpliced(index, 1) : value.with(index, next))),
      );
      return;
    }
    for (const [key, item] of Object.entries(value))
      visit(item, [...place, key], (next) =>
        put(next === undefined ? Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)) : { ...value, [key]: next }),
      );
  };
  visit(message, [], (value) => value ?? null);
  return mutants;
};

describe('a desired state on its way', () => {
  test('any change of any field of it is refused, or means the very same', async () => {
    const { first, patched, host } = await realMessages();
    const whole = take(JSON.stringify(first), host);
    const base = whole;
    const next = take(JSON.stringify(patched), host, base);
    expect(whole?.bundle?.layers.map((layer) => layer.name)).toEqual(['db', 'web']);
    expect(next?.bundle?.profiles.map((profile) => profile.version)).toEqual(['2.0.0', '2.0.0']);
    const accepted: string[] = [];
    let count = 0;
    for (const [message, held, right] of [
      [first, undefined, whole],
      [patched, base, next],
    ] as const) {
      for (const mutant of mutantsOf(JSON.parse(JSON.stringify(message)) as Json)) {
        count += 1;
        const record = take(mutant.text, host, held);
        if (record === undefined) continue;
        expect(record, `accepted with another meaning: ${mutant.place}`).toEqual(right);
        accepted.push(mutant.place);
      }
    }
    expect(count).toBeGreaterThan(1_000);
    // What may change without harm: attachments are checked by digest where they are kept, `adopted` only ever widens a refusal that is not at stake here,
    // a signature or release statement twice counts once, order does not matter, and base64 has spare bits at its end.
    const harmless = [/^attach/, /^adopted/, /^director\.signatures(\.0\.signature)?$/, /^releases$/, /^releases\.\d+\.signatures(\.0\.signature)?$/];
    expect([...new Set(accepted)].filter((place) => !harmless.some((pattern) => pattern.test(place)))).toEqual([]);
  });

  test('what is for another host is refused, also with its own proof', async () => {
    const { first, other, host, otherHost } = await realMessages();
    expect(take(JSON.stringify(other), host)).toBeUndefined();
    expect(take(JSON.stringify(first), otherHost)).toBeUndefined();
    expect(take(JSON.stringify({ ...first, proof: other.proof }), host)).toBeUndefined();
    expect(take(JSON.stringify({ ...other, desired: { ...other.desired, host } }), host)).toBeUndefined();
    expect(take(JSON.stringify(other), otherHost)).toBeDefined();
  });

  test('an older director statement does not cover a newer desired state, and the other way round', async () => {
    const { first, patched, host } = await realMessages();
    const base = take(JSON.stringify(first), host);
    expect(take(JSON.stringify({ ...patched, director: first.director, proof: first.proof }), host, base)).toBeUndefined();
    expect(take(JSON.stringify({ ...first, director: patched.director }), host)).toBeUndefined();
  });

  test('keys of another hub sign nothing here, whatever role they have there', async () => {
    const { first, host } = await realMessages();
    const stranger = makeHubKeys(hub.keys.hub);
    const version = digestOf(first.desired);
    const tree = merkleTree([desiredLeaf(host, first.desired.generation, version)]);
    const statement = { ...first.director.signed, root: tree.root, size: 1 };
    for (const role of ['root', 'release', 'director', 'time'] as const) {
      expect(take(JSON.stringify({ ...first, proof: tree.proof(0), director: stranger.sign(role, statement) }), host)).toBeUndefined();
      if (role !== 'director')
        expect(
          take(JSON.stringify({ ...first, proof: tree.proof(0), director: hub.keys.sign(role, statement) }), host),
          `our own ${role} key is no director`,
        ).toBeUndefined();
    }
    expect(take(JSON.stringify({ ...first, proof: tree.proof(0), director: hub.keys.sign('director', statement) }), host)).toBeDefined();
    const unsigned = (first.releases ?? []).map((release) => ({ ...release, signatures: hub.keys.sign('director', release.signed).signatures }));
    expect(take(JSON.stringify({ ...first, releases: unsigned }), host), 'a director releases nothing').toBeUndefined();
  });

  test('the director cannot bring in a bundle whose profiles nobody released', async () => {
    const { first, host } = await realMessages();
    const bundle = { ...(first.bundle as NonNullable<DesiredMessage['bundle']>) };
    const [profile] = bundle.profiles;
    const forged = { ...bundle, profiles: [{ name: profile?.name ?? '', version: '6.6.6', digest: digestOf('malice') }, ...bundle.profiles.slice(1)] };
    const desired = { ...first.desired, bundle: digestOf(forged) };
    const tree = merkleTree([desiredLeaf(host, desired.generation, digestOf(desired))]);
    const director = hub.keys.sign('director', { ...first.director.signed, root: tree.root, size: 1 });
    expect(take(JSON.stringify({ ...first, desired, bundle: forged, proof: tree.proof(0), director }), host)).toBeUndefined();
  });
});

describe('the root of trust', () => {
  const keys = makeHubKeys('h');
  const other = makeHubKeys('h');
  const next = (by: typeof keys, version: number) => by.sign('root', { ...keys.root.signed, version });

  test('is pinned by its digest at first contact', () => {
    expect(isTrustedRoot(keys.root, { digest: keys.rootDigest, known: undefined }, verifySignature)).toBe(true);
    expect(isTrustedRoot(other.root, { digest: keys.rootDigest, known: undefined }, verifySignature)).toBe(false);
    expect(isTrustedRoot({ ...keys.root, signatures: other.root.signatures }, { digest: keys.rootDigest, known: undefined }, verifySignature)).toBe(false);
  });

  test('is followed by a later one only when both the old and the new root keys signed it', () => {
    const known = keys.root.signed;
    const rotated = { ...other.root.signed, version: 2 };
    const both = { signed: rotated, signatures: [...keys.sign('root', rotated).signatures, ...other.sign('root', rotated).signatures] };
    const pin = { digest: keys.rootDigest, known };
    expect(isTrustedRoot(next(keys, 2), pin, verifySignature)).toBe(true);
    expect(isTrustedRoot(both, pin, verifySignature)).toBe(true);
    expect(isTrustedRoot({ ...both, signatures: both.signatures.slice(0, 1) }, pin, verifySignature)).toBe(false);
    expect(isTrustedRoot({ ...both, signatures: both.signatures.slice(1) }, pin, verifySignature)).toBe(false);
    expect(isTrustedRoot(next(keys, 1), pin, verifySignature)).toBe(false);
    expect(isTrustedRoot(next(other, 2), pin, verifySignature)).toBe(false);
    for (const role of ['director', 'release', 'time'] as const)
      expect(isTrustedRoot(keys.sign(role, { ...known, version: 2 }), pin, verifySignature), `${role} cannot change root`).toBe(false);
  });
});

test('a change over two tenants reaches the hosts of both', async () => {
  const second = await makeTenant(hub.store, 'second');
  const admin = await hub.client([{ role: 'TenantAdmin' }], second);
  const one = await enrolledHost(hub, 'one');
  const two = await enrolledHost(hub, 'two', admin);
  await applyProfile(hub.admin, 'web', '1.0.0');
  await applyProfile(admin, 'web', '1.0.0');
  // Both in one change, so that one signature covers both.
  const clusters = await Promise.all([applyCluster(hub.admin, 'shop', 'web', '1.0.0', []), applyCluster(admin, 'shop', 'web', '1.0.0', [])]);
  const bundle = await until(() => hub.core.fleet.cluster(clusters[0]?.id ?? '')?.bundle, 'a bundle');
  const assigner = createAssigner({ store: hub.store, fleet: hub.core.fleet, keys: hub.keys, epoch: hub.epoch, clock: systemClock });
  const wanted = [
    [hub.tenant, one.id, clusters[0]?.id],
    [second, two.id, clusters[1]?.id],
  ].map(([tenant, host, cluster]) => ({
    tenant: tenant ?? '',
    host: host ?? '',
    cluster: { id: cluster ?? '', name: 'shop', role: 'control-plane' as const, applier: true },
    bundle,
    inputs: '',
  }));
  const assigned = await assigner.assign(wanted);
  expect(assigned).toHaveLength(2);
  await hub.core.gateway.push(assigned);
  const [mine, yours] = await Promise.all([one.line.hear('desired'), two.line.hear('desired')]);
  expect(mine.desired.tenant).toBe(hub.tenant);
  expect(yours.desired.tenant).toBe(second);
  expect(mine.director.signed.size).toBe(2);
  expect(yours.director).toEqual(mine.director);
  expect(verifyDesired(inputFor(mine, one.id)).ok).toBe(true);
  expect(verifyDesired({ ...inputFor(yours, two.id), tenant: second }).ok).toBe(true);
});
