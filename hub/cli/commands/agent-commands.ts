import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { agentManifestSchema, type AgentArch, type AgentManifest } from '@groundplane/protocol/agent-package';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { stringify } from 'yaml';
import { readBody, walkArchive } from '../../src/archive/read.ts';
import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';
import { uploadBlob } from '../upload.ts';
import { failureTrouble } from './pack-registry.ts';

const manifestBytesMax = 1024 * 1024;

interface AgentPackage {
  file: string;
  digest: `sha256:${string}`;
  size: number;
  manifest: AgentManifest;
}

/** Reads a package to its end: a damaged one is found here, not on a thousand hosts. */
const readPackage = async (file: string): Promise<Result<AgentPackage>> => {
  const size = await stat(file).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
  if (size === undefined) return fail('fatal', 'agent-package-missing', file, 'there is no such file');
  if (size > limits.agentPackageBytes)
    return fail('fatal', 'agent-package-invalid', file, `has ${size} bytes, and a package has at most ${limits.agentPackageBytes}`);
  let manifest: AgentManifest | undefined;
  const seen = new Set<string>();
  const wrong = (why: string): Result<never> => fail('fatal', 'agent-package-invalid', file, `${why}. Build it anew: npm run installer -- agent`);
  const archive = { bytesMax: 2 * limits.agentFileBytes, entriesMax: 2 * limits.agentPackageFiles, fileBytesMax: manifestBytesMax };
  const walked = await walkArchive(createReadStream(file), archive, file, async (entry) => {
    if (entry.kind === 'folder') return ok(undefined);
    if (manifest === undefined) {
      if (entry.name !== 'manifest.json') return wrong('is no package of the agent: it does not begin with manifest.json');
      const text = await readBody(entry.body, manifestBytesMax, file);
      if (!text.ok) return text;
      const parsed = agentManifestSchema.safeParse(JSON.parse(text.value.toString('utf8')));
      if (!parsed.success) return wrong(`its manifest cannot be read: ${parsed.error.issues[0]?.message ?? ''}`);
      manifest = parsed.data;
      return ok(undefined);
    }
    const known = manifest.files.find((item) => item.path === entry.name);
    const hash = createHash('sha256');
    for await (const chunk of entry.body as AsyncIterable<Buffer>) hash.update(chunk);
    if (known === undefined || known.bytes !== entry.size || hash.digest('hex') !== known.sha256) return wrong(`${entry.name} is not what its manifest says`);
    seen.add(entry.name);
    return ok(undefined);
  }).catch((error: unknown) => wrong(`cannot be read: ${error instanceof Error ? error.message : String(error)}`));
  if (!walked.ok) return walked;
  if (manifest === undefined) return wrong('is empty');
  const lost = manifest.files.find((item) => !seen.has(item.path));
  if (lost !== undefined) return wrong(`it lacks ${lost.path}`);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) hash.update(chunk);
  return ok({ file, digest: `sha256:${hash.digest('hex')}`, size, manifest });
};

/** `gp agent upload FILE…`: packages into the hub, and what a profile's OS layer has to say for hosts to run this version. */
export const uploadAgent = async (context: Context, files: readonly string[], options: { inside?: boolean } = {}): Promise<Outcome> => {
  const packages: AgentPackage[] = [];
  for (const file of files) {
    const read = await readPackage(resolve(context.io.cwd, file));
    if (!read.ok) return failureTrouble(read.failure);
    packages.push(read.value);
  }
  const [first] = packages;
  const other = packages.find((item) => item.manifest.version !== first?.manifest.version);
  if (first === undefined || other !== undefined)
    return usage(
      'gp agent upload',
      `these are versions ${first?.manifest.version ?? ''} and ${other?.manifest.version ?? ''}; a host has one version`,
      'gp agent upload with the packages of one version',
    );
  const byArch = new Map<AgentArch, AgentPackage>(packages.map((item) => [item.manifest.arch, item]));
  if (byArch.size < packages.length) return usage('gp agent upload', 'two of these are for one architecture', 'name one package for each architecture');
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  for (const item of packages) {
    const sent = await uploadBlob(context, connection.value, {
      digest: item.digest,
      size: item.size,
      body: createReadStream(item.file),
      name: `agent ${item.manifest.version} ${item.manifest.arch}`,
    });
    if (!sent.ok) return apiTrouble(sent.failure);
  }
  const agent = { version: first.manifest.version, packages: Object.fromEntries([...byArch].map(([arch, { digest, size }]) => [arch, { digest, size }])) };
  const set = options.inside === true ? await connection.value.client.call('setInsideAgent', { body: agent }) : undefined;
  if (set?.ok === false) return apiTrouble(set.failure);
  await printOne(context, agent, agent.version, () => `# for the OS layer of a profile\nos:\n  agent:\n${stringify(agent).replaceAll(/^(?=.)/gm, '    ')}`);
  return exits.ok;
};
