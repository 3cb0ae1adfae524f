import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { upstreamFile, type UpstreamChart } from '@groundplane/protocol/pack/upstream';
import { setValue } from '@groundplane/protocol/pack/values';
import { readCharts } from '../../../src/pack/charts.ts';
import { textOf, type PackFiles } from '../../../src/pack/read.ts';
import { upstreamOf } from '../../../src/pack/upstream.ts';
import { createEgress } from '../../../src/registry/egress.ts';
import { createHelmRepository } from '../../../src/registry/helm-repository.ts';
import { parseReference, tagOfVersion } from '../../../src/registry/oci-reference.ts';
import { pullChart } from '../../../src/registry/units.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { notice, type Context } from '../../io.ts';
import { localRegistry, type RegistryFlags } from '../../local-registry.ts';
import { printList } from '../../output/print.ts';
import { exits, trouble, usage, type Outcome } from '../../trouble.ts';
import { failureTrouble, findingLines, openPack } from './source.ts';

export interface FetchOptions extends RegistryFlags {
  /** Write digests that were not known into upstream.yaml. */
  pin?: boolean;
}

interface Fetched {
  chart: string;
  version: string;
  file: string;
  digest: Digest;
  bytes: number;
  /** Whether it came now; otherwise it lay there already. */
  isNew: boolean;
  isPinned: boolean;
}

const digestOfBytes = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const fromRepository = async (context: Context, chart: UpstreamChart, flags: RegistryFlags): Promise<Result<{ bytes: Buffer; version: string }>> => {
  const ca = flags.ca === undefined ? undefined : await readFile(flags.ca, 'utf8').catch(() => undefined);
  if (flags.ca !== undefined && ca === undefined) return fail('fatal', 'credentials-invalid', flags.ca, 'is no file with a certificate in PEM form');
  const egress = createEgress({ private: 'all' });
  const password = context.io.env['GP_REGISTRY_PASSWORD'] ?? '';
  try {
    const repository = createHelmRepository(
      { egress, clock: systemClock },
      {
        url: chart.repository,
        insecure: flags.insecure === true || context.globals.insecure,
        ...(ca === undefined ? {} : { ca }),
        ...(flags.username === undefined ? {} : { credentials: { username: flags.username, password } }),
      },
    );
    return await repository.fetch(chart.name, chart.version);
  } finally {
    egress.close();
  }
};

const fromRegistry = async (context: Context, chart: UpstreamChart, flags: RegistryFlags): Promise<Result<{ bytes: Buffer; version: string }>> => {
  const reference = parseReference(`${chart.repository.replace(/\/+$/, '')}/${chart.name}:${tagOfVersion(chart.version)}`);
  if (!reference.ok) return reference;
  const registry = await localRegistry(context, reference.value.registry, flags);
  if (!registry.ok) return registry;
  try {
    return await pullChart(registry.value.client, reference.value);
  } finally {
    registry.value.close();
  }
};

/** What came has to be the chart that was asked for, byte by byte when a digest is known. */
const check = async (chart: UpstreamChart, answer: { bytes: Buffer; version: string }): Promise<Result<Digest>> => {
  const element = `chart ${chart.name} ${chart.version} of ${chart.repository}`;
  const digest = digestOfBytes(answer.bytes);
  if (chart.digest !== undefined && digest !== chart.digest)
    return fail('fatal', 'content-wrong', element, `has the digest ${digest}, and upstream.yaml pins ${chart.digest}; nothing was written`);
  const { charts } = await readCharts({ from: element, files: [{ name: chart.file, data: answer.bytes }] }, [chart.file]);
  const [facts] = charts;
  const plain = (version: string): string => version.replace(/^v/, '');
  if (facts === undefined || facts.name !== chart.name || plain(facts.version) !== plain(chart.version))
    return fail(
      'fatal',
      'chart-invalid',
      element,
      `is not what was asked for: the archive says ${facts === undefined ? 'nothing' : `${facts.name} ${facts.version}`}; nothing was written`,
    );
  return ok(digest);
};

const save = async (path: string, bytes: Uint8Array | string): Promise<Result<void>> => {
  const partial = `${path}.partial`;
  try {
    await mkdir(dirname(path), { recursive: true });
    // Whoever looks never sees half of it.
    await writeFile(partial, bytes);
    await rename(partial, path);
    return ok(undefined);
  } catch (error) {
    await rm(partial, { force: true });
    return fail('fatal', 'file-not-written', path, `cannot be written: ${(error as Error).message}`);
  }
};

const fetchOne = async (context: Context, folder: string, pack: PackFiles, chart: UpstreamChart, flags: RegistryFlags): Promise<Result<Fetched>> => {
  const told = { chart: chart.name, version: chart.version, file: chart.file, isPinned: chart.digest !== undefined };
  const lying = pack.files.find((file) => file.name === chart.file)?.data;
  const there = lying === undefined ? undefined : digestOfBytes(lying);
  if (lying !== undefined && there !== undefined && (chart.digest === undefined || there === chart.digest))
    return ok({ ...told, digest: there, bytes: lying.length, isNew: false });
  if (lying !== undefined)
    return fail(
      'blocked',
      'chart-digest-differs',
      chart.file,
      `lies there with the digest ${there ?? ''}, and upstream.yaml pins ${chart.digest ?? ''}; remove it`,
    );
  await notice(context, `${chart.name} ${chart.version} from ${chart.repository}`);
  const answer = await (chart.repository.startsWith('oci:') ? fromRegistry : fromRepository)(context, chart, flags);
  if (!answer.ok) return answer;
  const digest = await check(chart, answer.value);
  if (!digest.ok) return digest;
  const saved = await save(join(folder, chart.file), answer.value.bytes);
  return saved.ok ? ok({ ...told, digest: digest.value, bytes: answer.value.bytes.length, isNew: true }) : saved;
};

/** Digests into upstream.yaml, in its text: comments stay. */
const pinAll = async (folder: string, pack: PackFiles, charts: readonly UpstreamChart[], fetched: readonly Fetched[]): Promise<Result<void>> => {
  let text = textOf(pack, upstreamFile) ?? '';
  for (const [index, chart] of charts.entries()) {
    const digest = fetched.find((item) => item.file === chart.file)?.digest;
    if (digest === undefined || chart.digest !== undefined || !isDigest(digest)) continue;
    const edited = setValue(text, `charts[${index}].digest`, digest);
    if (!edited.ok) return edited;
    text = edited.value;
  }
  return save(join(folder, upstreamFile), text);
};

const hostOf = (chart: UpstreamChart): string => URL.parse(chart.repository)?.host ?? '';

const finish = async (context: Context, folder: string, pack: PackFiles, fetched: readonly Fetched[], isPinning: boolean): Promise<Outcome> => {
  const { charts } = upstreamOf(pack);
  const open = fetched.filter((item) => !item.isPinned);
  if (isPinning && open.length > 0) {
    const pinned = await pinAll(folder, pack, charts, fetched);
    if (!pinned.ok) return failureTrouble(pinned.failure);
  } else
    for (const item of open)
      await context.io.stderr.write(
        `warning: ${item.chart} ${item.version} is not pinned; add to ${upstreamFile} (or use --pin):\n    digest: ${item.digest}\n`,
      );
  await printList(context, fetched, {
    name: (item) => item.file,
    columns: [
      { title: 'CHART', value: (item) => item.chart },
      { title: 'VERSION', value: (item) => item.version },
      { title: 'DIGEST', value: (item) => item.digest },
      { title: 'STATE', value: (item) => (item.isNew ? 'fetched' : 'was there') },
    ],
    empty: `the pack carries everything; there is no ${upstreamFile}`,
  });
  return exits.ok;
};

/** The password is read once, whatever the number of charts. */
const withPassword = async (context: Context, options: FetchOptions): Promise<{ context: Context; options: FetchOptions }> => {
  if (options.passwordStdin !== true) return { context, options };
  const password = Buffer.from(await context.io.stdin.read(16_384))
    .toString('utf8')
    .replace(/\r?\n$/, '');
  const { passwordStdin: _read, ...rest } = options;
  return { context: { ...context, io: { ...context.io, env: { ...context.io.env, GP_REGISTRY_PASSWORD: password } } }, options: rest };
};

/** `gp pack fetch DIR`: puts the charts that upstream.yaml names where pack.json lists them. What does not have the pinned digest is refused. */
export const packFetch = async (context: Context, name: string, options: FetchOptions): Promise<Outcome> => {
  const folder = resolve(context.io.cwd, name);
  if ((await stat(folder).catch(() => undefined))?.isDirectory() === false)
    return usage(name, 'is an archive; charts are fetched into the folder of a pack', 'unpack it first');
  const pack = await openPack(context, name);
  if (!pack.ok) return pack.trouble;
  const { charts, findings } = upstreamOf(pack.value);
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (errors.length > 0) {
    await context.io.stderr.write(findingLines(context, errors, true));
    return trouble(name, `${upstreamFile} has ${errors.length} errors; nothing was fetched`, `gp pack lint ${name}`);
  }
  const missing = charts.filter((chart) => !pack.value.files.some((file) => file.name === chart.file));
  const hosts = [...new Set(missing.map(hostOf))];
  // A password is for one host; the pack's author must not choose who else sees it.
  if (options.username !== undefined && hosts.length > 1)
    return usage('--username', `is for one registry, and the charts come from ${hosts.join(', ')}`, 'docker login, or fetch the charts of the others first');
  const using = await withPassword(context, options);
  const fetched: Fetched[] = [];
  for (const chart of charts) {
    const one = await fetchOne(using.context, folder, pack.value, chart, using.options);
    if (!one.ok) return failureTrouble(one.failure);
    fetched.push(one.value);
  }
  return finish(context, folder, pack.value, fetched, options.pin === true);
};
