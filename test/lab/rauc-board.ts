import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { descriptionPath } from '@groundplane/agent/system/os-images/description';
import { raucImages } from '@groundplane/agent/system/os-images/rauc';
import type { Run } from '@groundplane/agent/system/os-images/disk';
import { ensureTools, type Tools } from '@groundplane/installer/image/tools';
import type { Result } from '@groundplane/protocol/failure';
import type { OsImagesUnderTest } from '../conformance/os-images.ts';

/** What the real RAUC needs beside the tools that build images. */
const raucPackages = ['rauc', 'rauc-service', 'dbus', 'squashfs-tools', 'openssl'];
export const ensureRaucTools = (progress: (line: string) => void): Promise<Result<Tools>> => ensureTools(progress, raucPackages);

const here = '/mnt/board';
const slotBytes = 2 ** 20;
const imageBytes = 2 ** 18;
const triesOf = 3;

const systemConf = `[system]
compatible=site-board
bootloader=custom
activate-installed=false
data-directory=${here}/data
mountprefix=/run/rauc
bundle-formats=+plain

[handlers]
bootloader-custom-backend=${here}/loader

[keyring]
path=${here}/ca.pem

[slot.rootfs.0]
device=${here}/a
type=raw
bootname=A

[slot.rootfs.1]
device=${here}/b
type=raw
bootname=B
`;

/** What RAUC keeps in U-Boot's environment, in files: the order, and the tries that each slot has left (RAUC's manual, "U-Boot"). */
const loader = `#!/bin/sh
cd ${here}/env || exit 1
case $1 in
  get-primary) for name in $(cat order); do [ "$(cat "left.$name")" -gt 0 ] && { echo "$name"; exit 0; }; done; exit 1 ;;
  set-primary) echo "$2 $(tr ' ' '\\n' <order | grep -vx "$2" | tr '\\n' ' ')" >order; echo ${triesOf} >"left.$2" ;;
  get-state) if [ "$(cat "left.$2")" -gt 0 ]; then echo good; else echo bad; fi ;;
  set-state) if [ "$3" = good ]; then echo ${triesOf} >"left.$2"; else echo 0 >"left.$2"; fi ;;
  get-current) cat booted ;;
  *) exit 1 ;;
esac
`;

/** RAUC's command line speaks to its service over D-Bus: both live as long as one call. */
const withService = `dbus-uuidgen --ensure
mkdir -p /run/dbus
dbus-daemon --system --nofork --nopidfile 2>/dev/null &
bus=$!
until [ -S /run/dbus/system_bus_socket ]; do sleep 0.02; done
rauc --conf=${here}/system.conf service --override-boot-slot="$(cat ${here}/env/booted)" 2>${here}/service.log &
service=$!
tries=0
until rauc --conf=${here}/system.conf status >/dev/null 2>&1 || [ $tries -gt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
program=$1; shift
"$program" --conf=${here}/system.conf "$@"
code=$?
kill $service $bus
wait
exit $code`;

/** The salt of a bundle that somebody else has signed. */
export const foreign = '-foreign';

const bytesOf = (seed: string): Buffer => {
  const parts = Array.from({ length: imageBytes / 32 }, (_, index) => createHash('sha256').update(`${seed} ${index}`).digest());
  return Buffer.concat(parts);
};

/** A board with two slots as plain files and the real RAUC; U-Boot is played as RAUC's manual has it. It starts with 1.0 running and good. */
export const createRaucBoard = async (tools: Tools, parent: string): Promise<OsImagesUnderTest> => {
  const folder = mkdtempSync(join(parent, 'rauc-board-'));
  const at = (...parts: string[]): string => join(folder, ...parts);
  const binds = [{ from: folder, to: here }];
  const read = (file: string): string => readFileSync(at('env', file), 'utf8').trim();
  const write = (file: string, text: string | number): void => writeFileSync(at('env', file), `${text}\n`);
  const inTools = async (argv: readonly string[]): Promise<string> => {
    const done = await tools.run(argv, binds);
    if (done.code !== 0) throw new Error(`${argv.join(' ')}: ${done.stderr}${done.stdout}`);
    return done.stdout;
  };
  const run: Run = (file, args) =>
    tools.run(['sh', '-c', withService, 'sh', file, ...args.map((arg) => (arg.startsWith(folder) ? here + arg.slice(folder.length) : arg))], binds);
  /** What each slot holds, and which versions passed their health check. */
  const versions: Record<string, string> = { A: '1.0', B: '' };
  const blessed = new Set(['1.0']);
  let intended: string | undefined;

  for (const part of ['env', 'data', 'bundles', dirname(join('root', descriptionPath))]) mkdirSync(at(part), { recursive: true });
  writeFileSync(at('system.conf'), systemConf);
  writeFileSync(at('loader'), loader);
  chmodSync(at('loader'), 0o755);
  for (const slot of ['a', 'b']) {
    writeFileSync(at(slot), '');
    truncateSync(at(slot), slotBytes);
  }
  // Before its first start, as if from the other slot: RAUC knows only what it has installed itself.
  for (const [file, text] of Object.entries({ order: 'B A', 'left.A': 0, 'left.B': triesOf, booted: 'B' })) write(file, text);
  const certificate = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=site'];
  for (const [key, ca] of [
    ['key', 'ca'],
    ['foreign-key', 'foreign-ca'],
  ])
    await inTools(['openssl', ...certificate, '-keyout', `${here}/${key}.pem`, '-out', `${here}/${ca}.pem`]);

  const running = (): string => versions[read('booted')] ?? '';
  const settle = (): void => {
    const description = { schema: 'groundplane.dev/os-image-description/1', name: 'site', version: running(), architecture: 'x64', driver: 'rauc' };
    writeFileSync(at('root', descriptionPath), JSON.stringify({ ...description, keys: [`ed25519:${'A'.repeat(43)}`] }));
  };
  const make: OsImagesUnderTest['make'] = async (version, salt = '') => {
    const content = at(`content-${version}${salt}`);
    const bundle = `${version}${salt}.raucb`;
    mkdirSync(content, { recursive: true });
    writeFileSync(join(content, 'root.img'), bytesOf(`${version}${salt}`));
    const text = `[update]\ncompatible=site-board\nversion=${version}\n\n[bundle]\nformat=plain\n\n[image.rootfs]\nfilename=root.img\n`;
    writeFileSync(join(content, 'manifest.raucm'), text);
    rmSync(at('bundles', bundle), { force: true });
    const by = salt === foreign ? 'foreign-' : '';
    await inTools([
      'rauc',
      'bundle',
      '--cert',
      `${here}/${by}ca.pem`,
      '--key',
      `${here}/${by}key.pem`,
      `${here}/content-${version}${salt}`,
      `${here}/bundles/${bundle}`,
    ]);
    const bytes = readFileSync(at('bundles', bundle));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
    return {
      manifest: {
        schema: 'groundplane.dev/os-image/1',
        name: 'site',
        version,
        architecture: 'x64',
        content: { driver: 'rauc', bundle: { digest, size: bytes.length } },
      },
      paths: new Map([['image.raucb', at('bundles', bundle)]]),
    };
  };
  const first = await run('rauc', ['install', (await make('1.0')).paths.get('image.raucb') ?? '']);
  if (first.code !== 0) throw new Error(`1.0 cannot be installed: ${first.stderr}`);
  for (const [file, text] of Object.entries({ order: 'A B', 'left.A': triesOf, 'left.B': 0, booted: 'A' })) write(file, text);
  settle();
  const markGood = async (): Promise<void> => {
    const done = await run('rauc', ['status', 'mark-good']);
    if (done.code !== 0) throw new Error(`mark-good: ${done.stderr}`);
  };
  const images = raucImages({ root: at('root'), run, intended: () => intended, isHealthy: () => Promise.resolve(blessed.has(running())) });

  return {
    images: {
      ...images,
      stage: async (manifest, paths, signal) => {
        const done = await images.stage(manifest, paths, signal);
        if (done.ok) versions[read('booted') === 'A' ? 'B' : 'A'] = manifest.version;
        return done;
      },
      // A new try is a new question to the health check.
      activate: async (manifest, paths) => {
        const done = await images.activate(manifest, paths);
        if (done.ok) blessed.delete(manifest.version);
        return done;
      },
    },
    make,
    boot: async () => {
      const name = read('order')
        .split(' ')
        .find((each) => Number(read(`left.${each}`)) > 0);
      if (name === undefined) throw new Error('nothing boots');
      write(`left.${name}`, Number(read(`left.${name}`)) - 1);
      write('booted', name);
      settle();
      if (blessed.has(running())) await markGood();
      else intended = running();
    },
    bless: async () => {
      blessed.add(running());
      intended = undefined;
      await markGood();
    },
    remove: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })),
  };
};
