import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const provenance = new URL('../../hub/helm-engine/helm-engine.json', import.meta.url);
const buildMsMax = 9 * 60_000;

/** The version our engine was made from: the oracle has to be the same one. */
export const helmVersion = (): string => {
  const { engine } = JSON.parse(readFileSync(provenance, 'utf8')) as { engine: string };
  return engine.replace(/^helm /, '');
};

const goVersion = async (): Promise<string | undefined> => {
  try {
    return (await run('go', ['env', 'GOVERSION'], { timeout: 20_000 })).stdout.trim();
  } catch {
    return undefined;
  }
};

const cacheRoot = (): string => path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'groundplane', 'tools');

/**
 * Helm's own command line, built from its module on first use and kept in the user's cache. Answers with its path, or with the reason there is none.
 * `-X` sets the version as Helm's releases do, because charts can print it.
 */
export const findHelmBinary = async (): Promise<{ path: string } | { missing: string }> => {
  const go = await goVersion();
  if (go === undefined) return { missing: 'Go is not installed, so the helm command cannot be built to compare with' };
  const version = helmVersion();
  const ldflags = `-s -w -X helm.sh/helm/v4/internal/version.version=${version}`;
  const folder = path.join(
    cacheRoot(),
    createHash('sha256')
      .update(JSON.stringify(['helm', version, go, ldflags]))
      .digest('hex')
      .slice(0, 16),
  );
  const binary = path.join(folder, 'helm');
  if (existsSync(binary)) return { path: binary };
  await mkdir(cacheRoot(), { recursive: true });
  const building = await mkdtemp(path.join(cacheRoot(), 'building-'));
  try {
    await run('go', ['install', '-trimpath', `-ldflags=${ldflags}`, `helm.sh/helm/v4/cmd/helm@${version}`], {
      cwd: building,
      timeout: buildMsMax,
      maxBuffer: 1 << 26,
      env: { ...process.env, GOBIN: building, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' },
    });
    await rename(building, folder);
    return { path: binary };
  } catch (cause) {
    if (existsSync(binary)) return { path: binary };
    const said = cause instanceof Error ? cause.message : String(cause);
    return { missing: `the helm command could not be built: ${said.trim().slice(-300)}` };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
};
