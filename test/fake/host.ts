import { digestBytes } from '@groundplane/protocol/digest';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import type { HostInfo } from '@groundplane/protocol/observed';
import type { AccountState, FileToWrite, Host, PackageState, UnitState } from '@groundplane/agent/port/host';

export interface FakeHostState {
  files: Record<string, FileToWrite>;
  sysctls: Record<string, string>;
  /** `known` units exist without a file of ours. */
  units: Record<string, UnitState>;
  packages?: Record<string, PackageState>;
  /** Loaded ones. */
  modules?: string[];
  accounts?: Record<string, AccountState>;
}

/** What the repositories of the simulated machine have, oldest first. */
export const fakeRepository: Readonly<Record<string, readonly string[]>> = { chrony: ['4.5-1', '4.6-1'], curl: ['8.5-1', '8.9-2'], nfs: ['2.6-1'] };
const fakeModules = ['overlay', 'br_netfilter', 'nf_conntrack'];

type Operation = Exclude<keyof Host, 'info' | 'packages'> | 'readPackages' | 'installPackages' | 'removePackages';

/** A Linux machine in memory. */
export interface FakeHost extends Host {
  state: FakeHostState;
  failNext(operation: Operation, failure: Failure, times?: number): void;
  /** Effects so far, as sentences; for asserting that nothing was done twice. */
  log: string[];
}

export const fakeInfo: HostInfo = {
  hostname: 'fake',
  os: 'Fake Linux 1',
  kernel: '6.0',
  arch: 'x64',
  cpus: 2,
  memoryBytes: 4 * 1024 ** 3,
  agentVersion: '0.1.0',
  privileged: true,
  simulated: true,
};

const sysctlDefaults: Record<string, string> = {
  'vm.swappiness': '60',
  'net.ipv4.ip_forward': '0',
  'net.ipv4.ip_local_reserved_ports': '',
  'fs.inotify.max_user_watches': '8192',
  'fs.inotify.max_user_instances': '128',
  'kernel.panic': '0',
};

export const emptyHostState = (): FakeHostState => ({ files: {}, sysctls: { ...sysctlDefaults }, units: { 'ssh.service': { enabled: true, active: true } } });

export const fakeHost = (state: FakeHostState = emptyHostState(), info: HostInfo = fakeInfo): FakeHost => {
  const faults = new Map<Operation, Failure[]>();
  const log: string[] = [];
  const fault = (operation: Operation): { ok: false; failure: Failure } | undefined => {
    const failure = faults.get(operation)?.shift();
    return failure === undefined ? undefined : { ok: false, failure };
  };
  const packages = (state.packages ??= {});
  const modules = (state.modules ??= []);
  const accounts = (state.accounts ??= {});
  const hasUnit = (unit: string): boolean => Object.hasOwn(state.units, unit) || Object.hasOwn(state.files, `/etc/systemd/system/${unit}`);
  const run = <T>(operation: Operation, work: () => Result<T>): Promise<Result<T>> => Promise.resolve(fault(operation) ?? work());
  return {
    state,
    log,
    failNext: (operation, failure, times = 1) =>
      void faults.set(operation, [...(faults.get(operation) ?? []), ...Array.from({ length: times }, () => failure)]),
    info: () => Promise.resolve(info),
    readFile: (path) =>
      run('readFile', () => {
        const file = state.files[path];
        return ok(
          file === undefined ? 'absent' : { content: file.content, digest: digestBytes(file.content), mode: file.mode, owner: file.owner, group: file.group },
        );
      }),
    writeFile: (file) =>
      run('writeFile', () => {
        state.files[file.path] = { path: file.path, content: file.content, mode: file.mode.padStart(4, '0'), owner: file.owner, group: file.group };
        log.push(`write ${file.path}`);
        return ok(undefined);
      }),
    removeFile: (path) =>
      run('removeFile', () => {
        delete state.files[path];
        log.push(`remove ${path}`);
        return ok(undefined);
      }),
    readSysctl: (key) => run('readSysctl', () => ok(state.sysctls[key] ?? 'absent')),
    writeSysctl: (key, value) =>
      run('writeSysctl', () => {
        if (!Object.hasOwn(state.sysctls, key)) return fail('blocked', 'sysctl-unknown', key, 'this kernel has no such setting');
        state.sysctls[key] = value;
        log.push(`sysctl ${key}=${value}`);
        return ok(undefined);
      }),
    readUnit: (unit) => run('readUnit', () => ok(hasUnit(unit) ? (state.units[unit] ?? { enabled: false, active: false }) : 'absent')),
    setUnit: (unit, next) =>
      run('setUnit', () => {
        if (!hasUnit(unit)) return fail('blocked', 'unit-failed', unit, 'there is no such unit');
        state.units[unit] = { enabled: next.enabled, active: next.active };
        log.push(`unit ${unit} ${next.active ? (next.restart ? 'restart' : 'start') : 'stop'}`);
        return ok(undefined);
      }),
    reloadUnits: () =>
      run('reloadUnits', () => {
        log.push('reload');
        return ok(undefined);
      }),
    readModule: (name) => run('readModule', () => ok(modules.includes(name) ? 'loaded' : 'absent')),
    loadModule: (name) =>
      run('loadModule', () => {
        if (!fakeModules.includes(name)) return fail('blocked', 'module-unknown', `module ${name}`, 'this kernel has no such module');
        if (!modules.includes(name)) modules.push(name);
        log.push(`modprobe ${name}`);
        return ok(undefined);
      }),
    unloadModule: (name) =>
      run('unloadModule', () => {
        if (modules.includes(name)) modules.splice(modules.indexOf(name), 1);
        return ok(undefined);
      }),
    readAccount: (name) => run('readAccount', () => ok(accounts[name] ?? 'absent')),
    setAccount: (name, next) =>
      run('setAccount', () => {
        const before = accounts[name]?.groups ?? [name];
        accounts[name] = { groups: [...new Set([...before, ...next.groups])], shell: next.shell };
        log.push(`account ${name}`);
        return ok(undefined);
      }),
    removeAccount: (name) =>
      run('removeAccount', () => {
        delete accounts[name];
        log.push(`no account ${name}`);
        return ok(undefined);
      }),
    packages: {
      name: 'fake',
      read: (names) => run('readPackages', () => ok(new Map(names.map((name) => [name, packages[name] ?? ('absent' as const)])))),
      install: (wishes) =>
        run('installPackages', () => {
          const unknown = wishes.find(({ name, version }) => {
            const versions = fakeRepository[name] ?? [];
            return version === undefined
              ? versions.length === 0 && packages[name] === undefined
              : !versions.includes(version) && packages[name]?.version !== version;
          });
          if (unknown !== undefined)
            return fail('blocked', 'package-unknown', `packages ${unknown.name}`, `no repository has ${unknown.name} ${unknown.version ?? ''}`);
          for (const { name, version, held } of wishes)
            packages[name] = {
              version: version ?? packages[name]?.version ?? fakeRepository[name]?.at(-1) ?? '',
              held: version !== undefined && held !== false,
            };
          log.push(`install ${wishes.map((item) => item.name).join(' ')}`);
          return ok(undefined);
        }),
      remove: (names) =>
        run('removePackages', () => {
          for (const name of names) delete packages[name];
          log.push(`uninstall ${names.join(' ')}`);
          return ok(undefined);
        }),
    },
  };
};
