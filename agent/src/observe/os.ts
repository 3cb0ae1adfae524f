import type { BundleLayer } from '@groundplane/protocol/bundle';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { ObservedOs, OwnedOs } from '@groundplane/protocol/plan/facts';
import { wantedFiles } from '@groundplane/protocol/plan/os';
import type { Host } from '../port/host.ts';

/** Reads every file, sysctl and unit that the target names or that we own. */
export const observeOs = async (host: Host, layers: readonly BundleLayer[], owned: readonly OwnedOs[]): Promise<Result<ObservedOs>> => {
  const keys = { file: new Set<string>(), sysctl: new Set<string>(), unit: new Set<string>() };
  for (const item of owned) keys[item.kind].add(item.key);
  for (const { os } of layers) {
    if (os === undefined) continue;
    for (const file of wantedFiles(os)) keys.file.add(file.path);
    for (const key of Object.keys(os.sysctls)) keys.sysctl.add(key);
    for (const unit of os.units) keys.unit.add(unit.name);
  }
  const files = new Map<string, { digest: `sha256:${string}`; mode: string; owner: string; group: string } | 'absent'>();
  for (const path of keys.file) {
    const read = await host.readFile(path);
    if (!read.ok) return read;
    files.set(
      path,
      read.value === 'absent' ? 'absent' : { digest: read.value.digest, mode: read.value.mode, owner: read.value.owner, group: read.value.group },
    );
  }
  const sysctls = new Map<string, string>();
  for (const key of keys.sysctl) {
    const read = await host.readSysctl(key);
    if (!read.ok) return read;
    sysctls.set(key, read.value);
  }
  const units = new Map<string, { enabled: boolean; active: boolean } | 'absent'>();
  for (const unit of keys.unit) {
    const read = await host.readUnit(unit);
    if (!read.ok) return read;
    units.set(unit, read.value);
  }
  return ok({ files, sysctls, units });
};
