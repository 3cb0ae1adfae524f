import { generateKeyPairSync } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentPackageName, type AgentArch } from '@groundplane/protocol/agent-package';
import { manifestOf, packPackage, signText, sumsOf, type PackageFile } from '@groundplane/installer/package';
import { isRequired } from '../lab/prerequisite.ts';

export const scriptsFolder = join(import.meta.dirname, '..', '..', 'installer', 'agent');
export const here: AgentArch = process.arch === 'arm64' ? 'arm64' : 'x64';

/** Named in the title of a test that is skipped. */
export const lacking = (programs: readonly string[]): string => {
  const missing = programs.filter((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0 && !isRequired(program));
  return process.platform === 'linux' ? (missing.length === 0 ? '' : ` (skipped: ${missing.join(', ')} not installed)`) : ' (skipped: Linux only)';
};

/** Stands in for Node: it appends its slot to `log`, and lives up to what its agent.mjs says: `healthy` or `crash`. */
const node = `#!/bin/sh
for last in "$@"; do case $last in */agent.mjs) script=$last ;; esac; done
echo "$GROUNDPLANE_SLOT $*" >>"$GROUNDPLANE_MARKS/log"
case $(cat "$script") in
  healthy) echo "$GROUNDPLANE_SLOT" >"$GROUNDPLANE_MARKS/healthy" ;;
  *) exit 1 ;;
esac
`;

export const standInFiles = (behaviour: 'healthy' | 'crash', scripts: Readonly<Record<string, Buffer>>): PackageFile[] => [
  { path: 'bin/node', data: Buffer.from(node), isExecutable: true },
  { path: 'agent/agent.mjs', data: Buffer.from(behaviour), isExecutable: false },
  ...Object.entries(scripts).map(([path, data]) => ({ path, data, isExecutable: path.endsWith('.sh') })),
];

export const keys = (() => {
  const pair = generateKeyPairSync('ed25519');
  return {
    publicPem: pair.publicKey.export({ type: 'spki', format: 'pem' }),
    privatePem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
})();

/** Writes a package with stand-ins, its digests and its signature into a folder, as a build would; returns the file. */
export const writePackage = async (folder: string, version: string, files: readonly PackageFile[], arch: AgentArch = here): Promise<string> => {
  const manifest = manifestOf({ version, arch, node: '0' }, files);
  if (!manifest.ok) throw new Error(manifest.failure.message);
  const name = agentPackageName(version, arch);
  const data = await packPackage(manifest.value, files, 1);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), data);
  const sums = sumsOf([{ name, data }]);
  writeFileSync(join(folder, 'SHA256SUMS'), sums);
  const signature = signText(sums, keys.privatePem);
  if (!signature.ok) throw new Error(signature.failure.message);
  writeFileSync(join(folder, 'SHA256SUMS.sig'), signature.value);
  return join(folder, name);
};
