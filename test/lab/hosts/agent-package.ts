import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentPackageName } from '@groundplane/protocol/agent-package';
import { agentFiles, type PackageFile } from '@groundplane/installer/package';
import { here, keys, scriptsFolder, writePackage } from '../../installer/packages.ts';

export const agentVersions = { good: '1.0.0', broken: '1.1.0' } as const;

/** Dies at once, as a version with a bug in its start does. */
const crash = `process.stderr.write('this version is broken\\n');\nprocess.exit(1);\n`;

/**
 * Two signed packages of the agent, of this source: `good/` as it ships, and `broken/` whose code ends at the start. Each with `install.sh`; `key.pem` beside
 * them is the public key.
 */
export const makeAgentPackages = async (folder: string): Promise<void> => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'key.pem'), keys.publicPem);
  const node: PackageFile = { path: 'bin/node', data: readFileSync(process.execPath), isExecutable: true };
  const shipped = [...(await agentFiles(here, agentVersions.good)), node];
  const broken = shipped.map((file) => (file.path === 'agent/agent.mjs' ? { ...file, data: Buffer.from(crash) } : file));
  for (const [name, files] of [['good', shipped] as const, ['broken', broken] as const]) {
    await writePackage(join(folder, name), agentVersions[name], files);
    copyFileSync(join(scriptsFolder, 'install.sh'), join(folder, name, 'install.sh'));
  }
};

/** Versions for pods: the third one ends at its start. */
export const insideVersions = { first: '1.0.0', second: '1.1.0', bad: '1.2.0', last: '1.3.0' } as const;

/** The same agent as packages for pods of imported clusters, each in a folder of its own. */
export const makeInsidePackages = async (folder: string): Promise<void> => {
  const node: PackageFile = { path: 'bin/node', data: readFileSync(process.execPath), isExecutable: true };
  for (const [name, version] of Object.entries(insideVersions)) {
    const files = [...(await agentFiles(here, version)), node];
    const isBad = version === insideVersions.bad;
    await writePackage(
      join(folder, name),
      version,
      files.map((file) => (isBad && file.path === 'agent/inside.mjs' ? { ...file, data: Buffer.from(crash) } : file)),
    );
  }
};

/** The file that `makeInsidePackages` made. */
export const insidePackage = (folder: string, name: keyof typeof insideVersions): string => join(folder, name, agentPackageName(insideVersions[name], here));
