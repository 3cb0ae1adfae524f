import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { isRequired } from '../lab/prerequisite.ts';

const run = promisify(execFile);
const version = 'v0.60.0';
const buildMsMax = 40 * 60_000;
const cacheRoot = (): string => path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'groundplane', 'tools');

const goVersion = async (): Promise<string | undefined> => {
  try {
    return (await run('go', ['env', 'GOVERSION'], { timeout: 20_000 })).stdout.trim();
  } catch {
    return undefined;
  }
};

/**
 * Zarf's own command line, built from its module and kept in the user's cache. Building takes ten minutes and 240 MB, so it is done only where it is demanded
 * (`GROUNDPLANE_TEST_REQUIRE=zarf`). A module of our own asks for it, since `go install` wants the list of all versions, which a proxy may not give.
 */
export const findZarfBinary = async (): Promise<{ path: string } | { missing: string }> => {
  const go = await goVersion();
  if (go === undefined) return { missing: 'Go is not installed, so zarf cannot be built to compare with' };
  const folder = path.join(
    cacheRoot(),
    createHash('sha256')
      .update(JSON.stringify(['zarf', version]))
      .digest('hex')
      .slice(0, 16),
  );
  const binary = path.join(folder, 'zarf');
  if (existsSync(binary)) return { path: binary };
  if (!isRequired('zarf')) return { missing: 'zarf is not built; GROUNDPLANE_TEST_REQUIRE=zarf builds it' };
  await mkdir(cacheRoot(), { recursive: true });
  const building = await mkdtemp(path.join(cacheRoot(), 'building-'));
  try {
    await writeFile(path.join(building, 'go.mod'), `module oracle\n\ngo 1.24\n\nrequire github.com/zarf-dev/zarf ${version}\n`);
    await run('go', ['build', '-trimpath', '-o', 'zarf', 'github.com/zarf-dev/zarf'], {
      cwd: building,
      timeout: buildMsMax,
      maxBuffer: 1 << 26,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod', GOWORK: 'off' },
    });
    await rename(building, folder);
    return { path: binary };
  } catch (cause) {
    if (existsSync(binary)) return { path: binary };
    const said = cause instanceof Error ? cause.message : String(cause);
    return { missing: `zarf could not be built: ${said.trim().slice(-300)}` };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
};
