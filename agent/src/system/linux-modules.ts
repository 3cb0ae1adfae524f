import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok } from '@groundplane/protocol/failure';
import type { Host } from '../port/host.ts';
import { lastWords, runCommand } from './command.ts';

/** Dashes and underscores mean the same in names of modules. */
const plain = (name: string): string => name.replaceAll('-', '_');

/** Kernel modules, by /proc/modules and modprobe(8). `root` is where /proc and /lib/modules are looked for. */
export const linuxModules = (root: string, modprobe = 'modprobe'): Pick<Host, 'readModule' | 'loadModule' | 'unloadModule'> => {
  const isLoaded = async (name: string): Promise<boolean> => {
    const list = await readFile(join(root, '/proc/modules'), 'utf8').catch(() => '');
    return list.split('\n').some((line) => plain(line.split(' ')[0] ?? '') === plain(name));
  };
  const isBuiltin = async (name: string): Promise<boolean> => {
    const release = (await readFile(join(root, '/proc/sys/kernel/osrelease'), 'utf8').catch(() => '')).trim();
    const list = await readFile(join(root, '/lib/modules', release, 'modules.builtin'), 'utf8').catch(() => '');
    return list.split('\n').some((line) => plain(line.replace(/^.*\//, '').replace(/\.ko.*$/, '')) === plain(name));
  };
  return {
    readModule: async (name) => ok((await isLoaded(name)) ? 'loaded' : (await isBuiltin(name)) ? 'builtin' : 'absent'),
    loadModule: async (name) => {
      const result = await runCommand(modprobe, [name]);
      if (result.code === 0) return ok(undefined);
      if (result.code === 127) return fail('blocked', 'host-error', `module ${name}`, 'there is no modprobe on this host');
      if (/not found/i.test(result.stderr)) return fail('blocked', 'module-unknown', `module ${name}`, `this kernel has no such module: ${lastWords(result)}`);
      if (/permitted|permission/i.test(result.stderr))
        return fail('blocked', 'host-denied', `module ${name}`, 'the agent may not load modules. Run it as root, outside of a container');
      return fail('retry', 'host-error', `module ${name}`, lastWords(result));
    },
    unloadModule: async (name) => {
      await runCommand(modprobe, ['--remove', name]);
      return ok(undefined);
    },
  };
};
