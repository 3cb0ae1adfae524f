import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import { ok, type Result } from '@groundplane/protocol/failure';
import { buildOsImage, type BuildOptions } from '@groundplane/installer/image/build-command';
import { defaultSizes } from '@groundplane/installer/image/disk-layout';
import { publicKeyOf } from '@groundplane/installer/image/image';
import { emulatorPackages, ensureTools } from '@groundplane/installer/image/tools';
import { ensureCached } from './hosts/cache.ts';

/** Three versions of one image: the first as a disk too, the second with a health check that always fails, the third with one package more. */
export const imageVersions = { first: '1.0.0', bad: '1.1.0', next: '1.2.0' } as const;
export const imageName = 'site';

const root = join(import.meta.dirname, '..', '..');

/** Everything that goes into an image from this source. */
const sourceDigest = (): string => {
  const hash = createHash('sha256');
  const walk = (folder: string): void => {
    for (const name of readdirSync(folder).toSorted()) {
      if (name === 'node_modules' || name === 'dist') continue;
      const path = join(folder, name);
      if (statSync(path).isDirectory()) walk(path);
      else hash.update(path.slice(root.length)).update(readFileSync(path));
    }
  };
  for (const folder of ['agent/src', 'protocol/src', 'installer']) walk(join(root, folder));
  return hash.digest('hex');
};

export const ensureImageTools = async (progress: (line: string) => void): Promise<Result<string>> => {
  const tools = await ensureTools(progress, emulatorPackages);
  return tools.ok ? ok(tools.value.folder) : tools;
};

const buildAll = async (folder: string, arch: AgentArch, progress: (line: string) => void): Promise<Result<unknown>> => {
  const keyPem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const key = publicKeyOf(keyPem);
  if (!key.ok) return key;
  const overlay = join(folder, 'bad');
  mkdirSync(join(overlay, 'usr/lib/groundplane/health.d'), { recursive: true });
  const check = join(overlay, 'usr/lib/groundplane/health.d/bad');
  writeFileSync(check, '#!/bin/sh\necho this image is bad on purpose\nexit 1\n');
  chmodSync(check, 0o755);
  const common: Omit<BuildOptions, 'version' | 'makesDisk'> = {
    out: folder,
    name: imageName,
    arch,
    kernel: 'cloud',
    keyPem,
    keys: [key.value],
    packages: [],
    overlay: undefined,
    commandLine: '',
    epoch: 'test',
    agentVersion: '0.1.0',
    sizes: defaultSizes,
    // One is as good as three to see the way back, and a boot without help of hardware takes its time.
    tries: 1,
  };
  const builds: BuildOptions[] = [
    { ...common, version: imageVersions.first, makesDisk: true },
    { ...common, version: imageVersions.bad, makesDisk: false, overlay },
    // Another package is another root, which a foreign processor takes long to make.
    { ...common, version: imageVersions.next, makesDisk: false, packages: arch === process.arch ? ['htop'] : [] },
  ];
  for (const options of builds) {
    const built = await buildOsImage(options, (text) => progress(`image ${options.version}: ${text}`));
    if (!built.ok) return built;
  }
  return ok(undefined);
};

/** Folder with the images; made anew when the source that goes into them changes. */
export const ensureImages = async (arch: AgentArch, progress: (line: string) => void): Promise<Result<string>> =>
  await ensureCached(arch === 'x64' ? 'os-images' : `os-images-${arch}`, sourceDigest(), (folder) => buildAll(folder, arch, progress), progress);
