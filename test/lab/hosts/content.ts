import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  createReadStream,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Digest } from '@groundplane/protocol/digest';
import { ok, type Result } from '@groundplane/protocol/failure';
import { buildProgram } from '../build.ts';
import type { Program } from '../recipe.ts';
import { cacheFailure, cachedFolder, ensureCached } from './cache.ts';
import { outputOf, runCommand } from './command.ts';
import { putImage, putLayer, writeLayout, type Blob, type ImageEntry, type ImageSpec } from './image.ts';
import {
  cniName,
  cniPlugins,
  etcdPrograms,
  kubeCommands,
  kubernetesProgram,
  pauseProgram,
  releases,
  runtimePrograms,
  webProgram,
  type KubernetesVersion,
} from './recipe.ts';
import { ensureRoot, rootFolder } from './root-file-system.ts';

/** What a host needs of one Kubernetes version, as `content.json` in its folder says it: programs in `files/`, images as an OCI layout in `images/`. */
export interface KubernetesContent {
  schema: 'groundplane.dev/kubernetes-content/1';
  distribution: 'kubeadm';
  version: string;
  architecture: 'x64' | 'arm64';
  files: { path: string; digest: Digest; size: number; mode: string }[];
  images: ImageEntry[];
  /** Every blob of the images, once. */
  blobs: Blob[];
}

type Progress = (line: string) => void;

const recipe = 1;

const buildPrograms = async (programs: readonly Program[], target: string, progress: Progress): Promise<Result<void>> => {
  const work = join(tmpdir(), `gp-hosts-build-${randomUUID()}`);
  try {
    for (const program of programs) {
      const started = performance.now();
      const built = await buildProgram(program, work, target);
      if (!built.ok) return built;
      chmodSync(join(target, program.name), 0o755);
      progress(`built ${program.name} ${program.version} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
    }
    return ok(undefined);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

const programParts = (programs: readonly Program[]): unknown =>
  programs.map((program) => [program.name, program.module, program.version, program.package, program.main ?? '', program.tags ?? [], program.stamp('')]);

const partsOf = (programs: readonly Program[]): unknown => [recipe, programParts(programs)];

const ensurePrograms = async (name: string, programs: readonly Program[], progress: Progress): Promise<Result<string>> =>
  await ensureCached(name, partsOf(programs), async (folder) => await buildPrograms(programs, folder, progress), progress);

/** The two that are too small for a module: the pod's pause and the workload of the tests. */
const buildSmall = async (folder: string): Promise<Result<void>> => {
  const work = join(tmpdir(), `gp-hosts-small-${randomUUID()}`);
  mkdirSync(work);
  try {
    writeFileSync(join(work, 'pause.c'), pauseProgram);
    writeFileSync(join(work, 'main.go'), webProgram);
    writeFileSync(join(work, 'go.mod'), 'module lab.local/web\n\ngo 1.26\n');
    const compiled = await runCommand(['gcc', '-static', '-Os', '-s', '-o', join(folder, 'pause'), join(work, 'pause.c')]);
    if (compiled.code !== 0) return cacheFailure('hosts-no-compiler', `pause cannot be compiled; install gcc and libc6-dev:\n${compiled.stderr.slice(-1000)}`);
    const built = await runCommand(['go', 'build', '-C', work, '-trimpath', '-ldflags', '-s -w', '-o', join(folder, 'web'), '.'], {
      env: { CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off' },
      timeoutMs: 600_000,
    });
    return built.code === 0 ? ok(undefined) : cacheFailure('hosts-build-failed', `the test workload cannot be built:\n${built.stderr.slice(-1000)}`);
  } finally {
    rmSync(work, { recursive: true });
  }
};

const smallParts = [recipe, pauseProgram, webProgram];

const ensureSmall = async (progress: Progress): Promise<Result<string>> => await ensureCached('small', smallParts, buildSmall, progress);

interface Sources {
  kube: string;
  etcd: string;
  runtime: string;
  small: string;
  /** Debian, for what kube-proxy calls. */
  root: string;
}

/** Where a host has the programs. */
const filesOf = ({ kube, etcd, runtime }: Sources): Record<string, string> => ({
  ...Object.fromEntries(['kubelet', 'kubeadm', 'kubectl'].map((name) => [`/usr/bin/${name}`, join(kube, 'kube')])),
  ...Object.fromEntries(['etcdctl', 'etcdutl'].map((name) => [`/usr/bin/${name}`, join(etcd, name)])),
  ...Object.fromEntries(['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc'].map((name) => [`/usr/bin/${name}`, join(runtime, name)])),
  ...Object.fromEntries(cniPlugins.map((plugin) => [`/opt/cni/bin/${cniName(plugin)}`, join(runtime, cniName(plugin))])),
});

const fileDigest = async (path: string): Promise<Digest> => {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash);
  return `sha256:${hash.digest('hex')}`;
};

/** A file of the cache under another name, without taking room. */
const place = (from: string, to: string): void => {
  mkdirSync(dirname(to), { recursive: true });
  linkSync(from, to);
};

const networkPrograms = ['nft', 'conntrack', 'xtables-nft-multi'];

/** Counts what `placeNetworkPrograms` puts together. */
const networkRecipe = 2;

/**
 * What kube-proxy calls, with its libraries, out of the hosts' Debian. Without the names of protocols nft says `6` where it was told `tcp`: a kube-proxy that finds a
 * table at its start then takes its own entries for others' and empties the maps of Services.
 */
const placeNetworkPrograms = async (root: string, folder: string): Promise<void> => {
  const copy = (path: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    // Follows links: a library is wanted under the name that the loader asks for.
    copyFileSync(join(root, path), join(folder, path));
  };
  copy('etc/protocols');
  for (const name of networkPrograms) {
    copy(`usr/sbin/${name}`);
    const said = await outputOf(['chroot', root, 'ldd', `/usr/sbin/${name}`]);
    for (const [path] of said.matchAll(/\/lib\S*/g)) copy(path);
  }
  for (const name of ['iptables', 'iptables-save', 'iptables-restore', 'ip6tables', 'ip6tables-save', 'ip6tables-restore'])
    symlinkSync('xtables-nft-multi', join(folder, 'usr/sbin', name));
  const extensions = (await outputOf(['chroot', root, 'sh', '-c', 'ls -d /usr/lib/*/xtables'])).trim();
  for (const name of (await outputOf(['ls', join(root, extensions)])).trim().split('\n')) copy(`${extensions}/${name}`);
};

export const webImage = (version: 1 | 2): string => `registry.groundplane.test/web:${version}.0.0`;

const writeImages = async (layout: string, version: KubernetesVersion, sources: Sources): Promise<Pick<KubernetesContent, 'images' | 'blobs'>> => {
  const release = releases[version];
  const work = join(tmpdir(), `gp-hosts-images-${randomUUID()}`);
  const layer = async (name: string, fill: (folder: string) => Promise<void> | void) => {
    const folder = join(work, name);
    mkdirSync(folder, { recursive: true });
    await fill(folder);
    return await putLayer(layout, folder);
  };
  try {
    const small = async (name: string) => await layer(name, (folder) => copyFileSync(join(sources.small, name), join(folder, name)));
    const kube = await layer('kube', (folder) => {
      mkdirSync(join(folder, 'usr/local/bin'), { recursive: true });
      mkdirSync(join(folder, 'tmp'), { mode: 0o1777 });
      copyFileSync(join(sources.kube, 'kube'), join(folder, 'usr/local/bin/kube'));
      for (const name of kubeCommands) symlinkSync('kube', join(folder, 'usr/local/bin', name));
    });
    const network = await layer('network', async (folder) => await placeNetworkPrograms(sources.root, folder));
    const etcd = await layer('etcd', (folder) => {
      mkdirSync(join(folder, 'usr/local/bin'), { recursive: true });
      for (const name of ['etcd', 'etcdctl', 'etcdutl']) copyFileSync(join(sources.etcd, name), join(folder, 'usr/local/bin', name));
    });
    const web = await small('web');
    const ofKube = (name: string, layers: ImageSpec['layers']): ImageSpec => ({
      ref: `registry.k8s.io/${name}:${version}`,
      layers,
      entrypoint: [`/usr/local/bin/${name}`],
    });
    const specs: ImageSpec[] = [
      ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map((name) => ofKube(name, [kube])),
      ofKube('kube-proxy', [kube, network]),
      { ref: `registry.k8s.io/etcd:${release.etcdTag}`, layers: [etcd], entrypoint: ['/usr/local/bin/etcd'] },
      { ref: `registry.k8s.io/pause:${release.pauseTag}`, layers: [await small('pause')], entrypoint: ['/pause'] },
      ...([1, 2] as const).map((each) => ({ ref: webImage(each), layers: [web], entrypoint: ['/web'], env: [`WEB_TEXT=web ${each}`] })),
    ];
    const made = specs.map((spec) => putImage(layout, spec));
    const images = made.map(({ entry }) => entry);
    writeLayout(layout, images);
    const blobs = made.flatMap((each) => each.blobs);
    return { images, blobs: blobs.filter((blob, index) => blobs.findIndex((other) => isDeepStrictEqual(other, blob)) === index) };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

const assemble = async (folder: string, version: KubernetesVersion, sources: Sources): Promise<void> => {
  const files: KubernetesContent['files'] = [];
  const digests = new Map<string, Digest>();
  for (const [path, from] of Object.entries(filesOf(sources)).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const digest = digests.get(from) ?? (await fileDigest(from));
    digests.set(from, digest);
    place(from, join(folder, 'files', path));
    files.push({ path, digest, size: statSync(from).size, mode: '0755' });
  }
  const layout = join(folder, 'images');
  mkdirSync(layout);
  const content: KubernetesContent = {
    schema: 'groundplane.dev/kubernetes-content/1',
    distribution: 'kubeadm',
    version,
    architecture: process.arch === 'arm64' ? 'arm64' : 'x64',
    files,
    ...(await writeImages(layout, version, sources)),
  };
  writeFileSync(join(folder, 'content.json'), `${JSON.stringify(content, undefined, 2)}\n`);
};

/** Where a version's sources are, or will be. */
const sourcesOf = (version: KubernetesVersion): Sources => {
  const { etcd } = releases[version];
  return {
    root: rootFolder(),
    small: cachedFolder('small', smallParts),
    etcd: cachedFolder(`etcd-${etcd}`, partsOf(etcdPrograms(etcd))),
    runtime: cachedFolder('runtime', partsOf(runtimePrograms)),
    kube: cachedFolder(`kubernetes-${version}`, partsOf([kubernetesProgram(version)])),
  };
};

const contentParts = (version: KubernetesVersion): unknown => [
  recipe,
  networkRecipe,
  releases[version],
  Object.values(sourcesOf(version)).map((folder) => basename(folder)),
];

/** Where a version's content is, or will be. It exists only complete. */
export const contentFolder = (version: KubernetesVersion): string => cachedFolder(`content-${version}`, contentParts(version));

/** The folder with everything of one Kubernetes version, built from Go modules on the first call. Failures: those of the lab, and of `ensureRoot`. */
export const ensureContent = async (version: KubernetesVersion, progress: Progress): Promise<Result<string>> => {
  if (existsSync(contentFolder(version))) return ok(contentFolder(version));
  const { etcd } = releases[version];
  const steps: (() => Promise<Result<string>>)[] = [
    async () => await ensureRoot(progress),
    async () => await ensureSmall(progress),
    async () => await ensurePrograms(`etcd-${etcd}`, etcdPrograms(etcd), progress),
    async () => await ensurePrograms('runtime', runtimePrograms, progress),
    async () => await ensurePrograms(`kubernetes-${version}`, [kubernetesProgram(version)], progress),
  ];
  for (const step of steps) {
    const made = await step();
    if (!made.ok) return made;
  }
  return await ensureCached(
    `content-${version}`,
    contentParts(version),
    async (folder) => {
      await assemble(folder, version, sourcesOf(version));
      return ok(undefined);
    },
    progress,
  );
};

export const readContent = (folder: string): KubernetesContent => JSON.parse(readFileSync(join(folder, 'content.json'), 'utf8')) as KubernetesContent;
