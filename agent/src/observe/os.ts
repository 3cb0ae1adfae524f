import type { BundleLayer } from '@groundplane/protocol/bundle';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ObservedOs, OwnedOs, OwnedOsKind } from '@groundplane/protocol/plan/facts';
import { wantedFiles } from '@groundplane/protocol/plan/os';
import type { Host, PackageState } from '../port/host.ts';

/** One question for all of them; hosts whose layers name no packages need no manager that we know. */
const readPackages = async (host: Host, names: readonly string[]): Promise<Result<Map<string, PackageState | 'absent'>>> => {
  if (names.length === 0) return ok(new Map());
  return host.packages === undefined
    ? fail('blocked', 'packages-unsupported', `packages ${names.slice(0, 5).join(', ')}`, 'this host has none of apt, dnf and zypper')
    : host.packages.read(names);
};

/** Reads every file, sysctl, unit, package, module and account that the target names or that we own. */
export const observeOs = async (host: Host, layers: readonly BundleLayer[], owned: readonly OwnedOs[]): Promise<Result<ObservedOs>> => {
  const keys: Record<OwnedOsKind, Set<string>> = {
    file: new Set(),
    sysctl: new Set(),
    unit: new Set(),
    package: new Set(),
    module: new Set(),
    user: new Set(),
    extension: new Set(),
  };
  for (const item of owned) keys[item.kind].add(item.key);
  for (const { os } of layers) {
    if (os === undefined) continue;
    for (const file of wantedFiles(os)) keys.file.add(file.path);
    for (const key of Object.keys(os.sysctls)) keys.sysctl.add(key);
    for (const unit of os.units) keys.unit.add(unit.name);
    for (const item of os.packages ?? []) keys.package.add(item.name);
    for (const module of os.modules ?? []) keys.module.add(module);
    for (const user of os.users ?? []) keys.user.add(user.name);
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
  const packages = await readPackages(host, [...keys.package]);
  if (!packages.ok) return packages;
  const modules = new Map<string, 'loaded' | 'builtin' | 'absent'>();
  for (const module of keys.module) {
    const read = await host.readModule(module);
    if (!read.ok) return read;
    modules.set(module, read.value);
  }
  const users = new Map<string, { groups: string[]; shell: string } | 'absent'>();
  for (const user of keys.user) {
    const read = await host.readAccount(user);
    if (!read.ok) return read;
    users.set(user, read.value);
  }
  return ok({ files, sysctls, units, packages: packages.value, modules, users });
};
