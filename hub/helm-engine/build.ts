/**
 * Builds Helm's template engine as WebAssembly: `node hub/helm-engine/build.ts [--check | --tidy]`.
 *
 * Helm imports the Kubernetes client in a few places that rendering never reaches; it would triple the size. `go build -overlay` is refused for
 * the module cache, so the module is copied into a work folder (under XDG_CACHE_HOME, or ~/.cache) and patched there, each patch asserting the
 * text it replaces: a new Helm version either patches cleanly or fails here.
 *
 * To take a new Helm: change its version in go.mod and run with `--tidy`, which also brings go.mod and go.sum up to date.
 * `--check` builds again and compares with what is committed. It says so and succeeds when Go, or the Go version the artefact came from, is missing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { patchHelm } from './patch.ts';

const here = import.meta.dirname;
const artefact = path.join(here, 'helm-engine.wasm.zst');
const provenanceFile = path.join(here, 'helm-engine.json');
const licenceFolder = path.join(here, 'LICENSES');
const work = path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'groundplane', 'helm-engine');
const sources = ['main.go', 'render.go', 'wire.go', 'functions.go'];
const helmModule = 'helm.sh/helm/v4';
const target = { GOOS: 'wasip1', GOARCH: 'wasm', CGO_ENABLED: '0', GOWASM: '', GOFLAGS: '', GOEXPERIMENT: '', GOWORK: 'off' };

interface GoModule {
  Path: string;
  Version?: string;
  Dir?: string;
  Replace?: GoModule;
}
interface Compiled {
  path: string;
  version: string;
  licences: string[];
  dir: string;
}

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** What the artefact is made of besides Helm and Go; kept in the provenance, so that a stale artefact shows without building. */
const sourceDigest = (): string =>
  sha256(Buffer.from([...sources, 'go.mod', 'go.sum', 'patch.ts'].map((name) => `${name} ${sha256(readFileSync(path.join(here, name)))}\n`).join('')));

const go = (folder: string, args: readonly string[], env: Record<string, string> = {}): string =>
  execFileSync('go', args, {
    cwd: folder,
    env: { ...process.env, GOFLAGS: '', GOWORK: 'off', ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });

const modulesOf = (text: string): GoModule[] => JSON.parse(`[${text.trim().replaceAll(/\}\n\{/g, '},{')}]`) as GoModule[];

/** The version list and client version that Helm would have asked the Kubernetes client for, told by the unpatched module on this machine. */
const askUnpatched = (): { apiVersions: string[]; clientGo: string; version: string; dir: string } => {
  const folder = path.join(work, 'ask');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const version = /helm\.sh\/helm\/v4 (v\S+)/.exec(readFileSync(path.join(here, 'go.mod'), 'utf8'))?.[1];
  if (version === undefined) throw new Error('go.mod does not name a version of helm.sh/helm/v4');
  writeFileSync(path.join(folder, 'go.mod'), `module ask\n\ngo 1.26.0\n\nrequire ${helmModule} ${version}\n`);
  writeFileSync(path.join(folder, 'go.sum'), readFileSync(path.join(here, 'go.sum')));
  writeFileSync(
    path.join(folder, 'main.go'),
    `package main

import (
	"encoding/json"
	"os"

	"${helmModule}/pkg/chart/common"
)

func main() { _ = json.NewEncoder(os.Stdout).Encode(common.DefaultVersionSet) }
`,
  );
  const apiVersions = JSON.parse(go(folder, ['run', '-mod=mod', '.'])) as string[];
  const listed = modulesOf(go(folder, ['list', '-mod=mod', '-m', '-json', helmModule, 'k8s.io/client-go']));
  const helm = listed.find((module) => module.Path === helmModule);
  const client = listed.find((module) => module.Path === 'k8s.io/client-go');
  if (helm?.Dir === undefined || client?.Version === undefined) throw new Error('go list did not answer for Helm and client-go');
  return { apiVersions, clientGo: client.Version, version, dir: helm.Dir };
};

const makeWritable = (folder: string): void => {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) makeWritable(at);
    else chmodSync(at, 0o644);
  }
};

/** Lays out `<work>/engine` (our source) beside `<work>/helm` (Helm's `pkg` and `internal`, patched). */
const layOut = (asked: ReturnType<typeof askUnpatched>): string => {
  const helm = path.join(work, 'helm');
  const engine = path.join(work, 'engine');
  for (const folder of [helm, engine]) {
    if (existsSync(folder)) makeWritable(folder);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  for (const name of ['pkg', 'internal', 'go.mod', 'go.sum', 'LICENSE']) cpSync(path.join(asked.dir, name), path.join(helm, name), { recursive: true });
  makeWritable(helm);
  patchHelm(helm, asked);
  for (const name of [...sources, 'go.mod', 'go.sum']) cpSync(path.join(here, name), path.join(engine, name));
  go(engine, ['mod', 'edit', `-replace=${helmModule}=../helm`]);
  return engine;
};

/** Our go.mod and go.sum list what the patched Helm needs, and nothing of the Kubernetes client. Run after a change of version. */
const tidy = (engine: string): void => {
  go(engine, ['mod', 'tidy'], target);
  go(engine, ['mod', 'edit', `-dropreplace=${helmModule}`]);
  const sums = readFileSync(path.join(here, 'go.sum'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${helmModule} `));
  const tidied = readFileSync(path.join(engine, 'go.sum'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(`${helmModule} `));
  cpSync(path.join(engine, 'go.mod'), path.join(here, 'go.mod'));
  writeFileSync(path.join(here, 'go.sum'), `${[...tidied, ...sums].toSorted().join('\n')}\n`);
};

const flagsFor = (version: string): string[] => [
  '-buildmode=c-shared',
  '-trimpath',
  '-buildvcs=false',
  '-mod=readonly',
  `-ldflags=-s -w -buildid= -X ${helmModule}/internal/version.version=${version}`,
];

const compiledModules = (engine: string, helmDir: string, version: string): Compiled[] => {
  const packages = modulesOf(go(engine, ['list', '-deps', '-json=Module', '.'], target)) as unknown as { Module?: GoModule }[];
  const found = new Map<string, Compiled>();
  for (const { Module: module } of packages) {
    if (module?.Dir === undefined || module.Path === 'groundplane.dev/helm-engine') continue;
    const isHelm = module.Path === helmModule;
    const dir = isHelm ? helmDir : module.Dir;
    const licences = readdirSync(dir).filter((name) => /^(licen[cs]e|notice|copying|patents)/i.test(name) && statSync(path.join(dir, name)).isFile());
    if (licences.length === 0) throw new Error(`${module.Path} has no licence file at its root`);
    found.set(module.Path, { path: module.Path, version: isHelm ? version : (module.Version ?? ''), licences, dir });
  }
  return [...found.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
};

const writeLicences = (modules: readonly Compiled[], goRoot: string): void => {
  rmSync(licenceFolder, { recursive: true, force: true });
  mkdirSync(licenceFolder, { recursive: true });
  const rule = '='.repeat(100);
  const parts = [`Texts of the licences of everything compiled into helm-engine.wasm.zst, as the modules carry them.\n`];
  for (const module of modules) {
    const isHelm = module.path === helmModule;
    for (const name of module.licences) {
      const text = readFileSync(path.join(module.dir, name), 'utf8');
      if (isHelm) writeFileSync(path.join(licenceFolder, `helm-${name}`), text);
      parts.push(`${rule}\n${module.path} ${module.version}: ${name}${isHelm ? ' (some files patched: see patch.ts)' : ''}\n${rule}\n\n${text.trimEnd()}\n`);
    }
  }
  parts.push(`${rule}\nGo standard library and runtime: LICENSE\n${rule}\n\n${readFileSync(path.join(goRoot, 'LICENSE'), 'utf8')}`);
  writeFileSync(path.join(licenceFolder, 'THIRD-PARTY.txt'), parts.join('\n'));
};

const compile = (engine: string, version: string): Buffer => {
  const out = path.join(work, 'helm-engine.wasm');
  go(engine, ['build', ...flagsFor(version), '-o', out, '.'], target);
  return readFileSync(out);
};

const build = (check: boolean): number => {
  const asked = askUnpatched();
  if (process.argv.includes('--tidy')) tidy(layOut(asked));
  const engine = layOut(asked);
  const wasm = compile(engine, asked.version);
  const goVersion = go(here, ['env', 'GOVERSION']).trim();
  if (check) {
    const committed = JSON.parse(readFileSync(provenanceFile, 'utf8')) as { wasm: { sha256: string } };
    const same = committed.wasm.sha256 === sha256(wasm);
    process.stdout.write(
      same
        ? `helm-engine: rebuilt, the same bytes (${sha256(wasm)})\n`
        : `helm-engine: rebuilt as ${sha256(wasm)}, committed is ${committed.wasm.sha256}: run node hub/helm-engine/build.ts and commit the result\n`,
    );
    return same ? 0 : 1;
  }
  const packed = zstdCompressSync(wasm, { params: { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_checksumFlag]: 1 } });
  const modules = compiledModules(engine, asked.dir, asked.version);
  writeLicences(modules, go(here, ['env', 'GOROOT']).trim());
  writeFileSync(artefact, packed);
  writeFileSync(
    provenanceFile,
    `${JSON.stringify(
      {
        engine: `helm ${asked.version}`,
        go: goVersion,
        target: 'wasip1/wasm',
        flags: flagsFor(asked.version),
        clientGoLeftOut: asked.clientGo,
        sources: sourceDigest(),
        wasm: { bytes: wasm.byteLength, sha256: sha256(wasm) },
        zst: { bytes: packed.byteLength, sha256: sha256(packed) },
        modules: modules.map((module) => ({ path: module.path, version: module.version, licences: module.licences })),
      },
      null,
      2,
    )}\n`,
  );
  const sizes = `${wasm.byteLength} bytes, compressed ${packed.byteLength}`;
  process.stdout.write(`helm-engine: helm ${asked.version}, ${goVersion}, ${modules.length} modules, ${sizes}\n`);
  return 0;
};

/** What can be compared without Go: the artefact with its provenance, and the provenance with the sources. */
const checkFiles = (): { go: string; problem: string } => {
  const committed = JSON.parse(readFileSync(provenanceFile, 'utf8')) as { go: string; sources: string; zst: { sha256: string } };
  const problem =
    sha256(readFileSync(artefact)) !== committed.zst.sha256
      ? 'helm-engine.wasm.zst is not the file that helm-engine.json describes'
      : sourceDigest() !== committed.sources
        ? 'the sources changed since helm-engine.wasm.zst was built'
        : '';
  return { go: committed.go, problem };
};

const main = (): number => {
  const check = process.argv.includes('--check');
  const committed = check ? checkFiles() : { go: '', problem: '' };
  if (committed.problem !== '') {
    process.stdout.write(`helm-engine: ${committed.problem}: run node hub/helm-engine/build.ts and commit the result\n`);
    return 1;
  }
  const found = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', cwd: here });
  if (found.status !== 0) {
    process.stdout.write(`helm-engine: there is no Go here, so nothing was ${check ? 'rebuilt; the files fit together' : 'built'}\n`);
    return check ? 0 : 1;
  }
  if (check && committed.go !== found.stdout.trim()) {
    const versions = `built with ${committed.go} and here is ${found.stdout.trim()}`;
    process.stdout.write(`helm-engine: ${versions}, which makes other bytes: not rebuilt; the files fit together\n`);
    return 0;
  }
  return build(check);
};

process.exitCode = main();
