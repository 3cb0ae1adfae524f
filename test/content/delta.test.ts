import { describe, expect, test } from 'vitest';
import { patched } from '@groundplane/agent/link/patch';
import { applyPatch, createPatcher, makePatch } from '@groundplane/hub/content/delta';
import { rawRoutes } from '@groundplane/protocol/api/routes';
import { deltaBytesMax, deltaWindowLog, patchBases, patchType } from '@groundplane/protocol/delta';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import type { BundleObject } from '@groundplane/protocol/bundle';
import { fakeContent } from '../fake/content.ts';
import { codeOf, openHub, value } from '../hub/world.ts';
import { noise } from '../registry/rig.ts';

const text = (seed: string): Buffer => Buffer.from(Array.from({ length: 2_000 }, (_, index) => digestBytes(`${seed} ${index}`)).join('\n'));
const old = text('a');
const changed = Buffer.concat([old.subarray(0, 50_000), Buffer.from('changed'), old.subarray(50_000)]);

describe('patches', () => {
  test('a small change costs little and comes out right, at the hub and at the agent', async () => {
    const patch = value(await makePatch(old, changed));
    expect(patch.length).toBeLessThan(300);
    expect(value(await applyPatch(old, patch, digestBytes(changed), changed.length))).toEqual(changed);
    expect(patched(old.toString('utf8'), patch, changed.length)).toEqual(changed);
  });

  test('empty blobs, equal blobs, foreign blobs', async () => {
    for (const [from, to] of [
      [Buffer.alloc(0), changed],
      [old, Buffer.alloc(0)],
      [old, old],
      [noise(5_000), noise(5_000)],
    ] as const) {
      const patch = value(await makePatch(from, to));
      expect(value(await applyPatch(from, patch, digestBytes(to), to.length))).toEqual(to);
    }
  });

  test('another old blob, a changed or a cut patch give nothing', async () => {
    const patch = value(await makePatch(old, changed));
    expect(codeOf(await applyPatch(text('b'), patch, digestBytes(changed), changed.length))).toBe('content-wrong');
    for (let at = 0; at < patch.length; at += 7) {
      const bad = Buffer.from(patch);
      bad.writeUInt8(bad.readUInt8(at) ^ 0x55, at);
      const made = await applyPatch(old, bad, digestBytes(changed), changed.length);
      if (made.ok) expect(made.value).toEqual(changed);
      expect(codeOf(await applyPatch(old, patch.subarray(0, at), digestBytes(changed), changed.length))).toBe('content-wrong');
    }
    expect(patched(old.toString('utf8'), noise(100), changed.length)).toBeUndefined();
  });

  test('a bomb makes no more than was announced', async () => {
    const bomb = value(await makePatch(old, Buffer.alloc(50_000_000)));
    expect(bomb.length).toBeLessThan(10_000);
    expect(codeOf(await applyPatch(old, bomb, digestBytes(changed), changed.length))).toBe('content-wrong');
    expect(patched(old.toString('utf8'), bomb, changed.length)).toBeUndefined();
  });

  test('what is too large is refused at the edge; windows reach over both', async () => {
    expect(codeOf(await makePatch(Buffer.alloc(deltaBytesMax + 1), old))).toBe('delta-too-large');
    expect(codeOf(await applyPatch(old, old, digestBytes(old), deltaBytesMax + 1))).toBe('delta-too-large');
    expect([0, 1, 1_024, 1_025, 2 ** 20, 2 * deltaBytesMax].map(deltaWindowLog)).toEqual([10, 10, 10, 11, 20, 28]);
  });

  test('a patch is made once, and not at all when the whole is better', async () => {
    const content = fakeContent();
    let reads = 0;
    const patcher = createPatcher({ ...content, read: (digest) => ((reads += 1), content.read(digest)) });
    const [from, to, other] = [await content.put(old), await content.put(changed), await content.put(noise(100_000))];
    const [first, second] = await Promise.all([patcher.patch(from, to), patcher.patch(from, to)]);
    expect(first).toEqual(second);
    expect(reads).toBe(2);
    expect(await patcher.patch(from, other)).toBeUndefined();
    expect(await patcher.patch(`sha256:${'0'.repeat(64)}`, to)).toBeUndefined();
  });
});

test('the old blob of a new one is that of the same thing in the same layer', () => {
  const object = (name: string, digest: string, size = 10_000): BundleObject => ({
    ref: { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'x', name },
    digest: digest as Digest,
    size,
  });
  const bundle = (...objects: BundleObject[]) => ({ layers: [{ name: 'web', objects, hooks: [] }] }) as unknown as Parameters<typeof patchBases>[0];
  expect([
    ...patchBases(
      bundle(object('a', 'a1'), object('b', 'b1'), object('s', 's1', 10)),
      bundle(object('a', 'a2'), object('b', 'b1'), object('c', 'c1'), object('s', 's2', 10)),
    ),
  ]).toEqual([['a2', 'a1']]);
});

test('over HTTP: a patch for who may read both, the whole for everybody else and when it does not pay', async () => {
  const hub = await openHub();
  try {
    const random = noise(50_000);
    const put = async (bytes: Buffer): Promise<void> => {
      const response = await hub.fetch(rawRoutes.content.replace('{digest}', digestBytes(bytes)), {
        method: 'PUT',
        body: new Uint8Array(bytes),
        headers: { authorization: `Bearer ${hub.admin.key}` },
      });
      expect(response.status).toBe(204);
    };
    for (const bytes of [old, changed, random]) await put(bytes);
    const get = async (to: Buffer, from: string, headers: Record<string, string> = {}): Promise<{ type: string | null; body: Buffer; status: number }> => {
      const response = await hub.fetch(`${rawRoutes.content.replace('{digest}', digestBytes(to))}?from=${from}`, {
        headers: { authorization: `Bearer ${hub.admin.key}`, ...headers },
      });
      return { status: response.status, type: response.headers.get('content-type'), body: Buffer.from(await response.arrayBuffer()) };
    };
    const patch = await get(changed, digestBytes(old));
    expect([patch.status, patch.type]).toEqual([200, patchType]);
    expect(value(await applyPatch(old, patch.body, digestBytes(changed), changed.length))).toEqual(changed);
    expect(await get(random, digestBytes(old))).toMatchObject({ type: 'application/octet-stream', body: random });
    expect(await get(changed, `sha256:${'0'.repeat(64)}`)).toMatchObject({ type: 'application/octet-stream', body: changed });
    expect(await get(changed, '../../etc/passwd')).toMatchObject({ type: 'application/octet-stream', body: changed });
    expect(await get(changed, digestBytes(old), { range: 'bytes=0-9' })).toMatchObject({ status: 206 });
    const secret = await hub.content.put(text('of somebody else'));
    expect(await get(changed, secret)).toMatchObject({ type: 'application/octet-stream', body: changed });
    expect(hub.log).toEqual([]);
  } finally {
    await hub.close();
  }
});
