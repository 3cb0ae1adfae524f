import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeOnce } from '@groundplane/installer/image/tools';
import { fail, ok } from '@groundplane/protocol/failure';

describe('a folder that is made once', () => {
  let cache: string;
  beforeEach(() => void (cache = mkdtempSync(join(tmpdir(), 'gp-once-'))));
  afterEach(() => rmSync(cache, { recursive: true }));
  const target = (): string => join(cache, 'base');
  const filled = (text: string) => (staging: string) => {
    mkdirSync(staging);
    writeFileSync(join(staging, 'file'), text);
    return Promise.resolve(ok(undefined));
  };

  test('is there whole, and a failure leaves nothing', async () => {
    const failed = await makeOnce(target(), async (staging) => {
      await filled('half')(staging);
      return fail('blocked', 'root-failed', 'mmdebstrap', 'no network');
    });
    expect(failed.ok).toBe(false);
    expect(readdirSync(cache)).toEqual([]);
    await expect(makeOnce(target(), () => Promise.reject(new Error('cut')))).rejects.toThrow('cut');
    expect(readdirSync(cache)).toEqual([]);
    expect((await makeOnce(target(), filled('whole'))).ok).toBe(true);
    expect(readdirSync(cache)).toEqual(['base']);
  });

  test('two who make the same at once both have it', async () => {
    const inside = Promise.withResolvers<void>();
    const slow = makeOnce(target(), async (staging) => {
      await filled('slow')(staging);
      await inside.promise;
      return ok(undefined);
    });
    expect((await makeOnce(target(), filled('quick'))).ok).toBe(true);
    inside.resolve();
    expect((await slow).ok).toBe(true);
    expect(readFileSync(join(target(), 'file'), 'utf8')).toBe('quick');
    expect(readdirSync(cache)).toEqual(['base']);
  });

  test('what others are making is left alone, and what a dead process left is removed', async () => {
    const dead = spawnSync('true').pid;
    const [living, left] = [join(cache, `.making-${process.ppid}-a`), join(cache, `.making-${dead}-b`)];
    for (const folder of [living, left]) mkdirSync(join(folder, 'etc'), { recursive: true });
    expect((await makeOnce(target(), filled('whole'))).ok).toBe(true);
    expect([existsSync(living), existsSync(left)]).toEqual([true, false]);
  });
});
