import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { canonicalJson } from '@groundplane/protocol/canonical';
import type { ApiResult } from '@groundplane/protocol/api/client';
import { limits } from '@groundplane/protocol/limits';
import type { PackedChart } from '../authoring/chart.ts';
import { documentName, parseDocuments, type AnyDocument, type ClusterDocument, type ProfileDocument } from '../authoring/document.ts';
import { importSources } from '../authoring/import-sources.ts';
import { readInputs } from '../authoring/read.ts';
import { connect, defaultProject, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { formatOf, jsonText, yamlText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { painter } from '../output/style.ts';
import { apiTrouble, exits, troubleText, usage, type Attempt, type Outcome, type Trouble } from '../trouble.ts';
import { uploadBlob } from '../upload.ts';
import { planText } from './plan-text.ts';
import { waitUntil } from './wait.ts';

interface ApplyOptions {
  files: readonly string[];
  dryRun: boolean;
  draft: boolean;
  wait: boolean;
}

interface Applied {
  kind: 'Profile' | 'Cluster';
  name: string;
  project: string;
  result: 'created' | 'changed' | 'unchanged' | 'would-create' | 'would-change' | 'failed' | 'skipped';
  /** State of the profile version or of the cluster afterwards. */
  state?: string;
  message?: string;
  /** Exit code that a failure asks for. */
  exit?: number;
}

/** Everything `-f` names, read and checked; nothing is sent. */
export const readDocuments = async (context: Context, connection: Pick<Connection, 'project'>, files: readonly string[]): Promise<Attempt<AnyDocument[]>> => {
  if (files.length === 0) return { ok: false, trouble: usage('files', 'say what to apply', 'gp apply -f FILE   (a file, a folder, or - for standard input)') };
  const inputs = await readInputs(context.io, files);
  return inputs.ok ? parseDocuments(inputs.value, connection.project === '' ? defaultProject : connection.project, context.globals.project) : inputs;
};

/** Uploads what the hub does not have yet; the same archive of several layers goes once. */
const uploadCharts = async (context: Context, connection: Connection, charts: readonly PackedChart[]): Promise<ApiResult<void>> => {
  for (const chart of new Map(charts.map((item) => [item.digest, item])).values()) {
    const known = await connection.client.call('headContent', { params: { digest: chart.digest } });
    if (known.ok) continue;
    if (known.failure.status !== 404) return known;
    const size = chart.file?.size ?? chart.bytes.length;
    await notice(context, `uploading ${chart.kind ?? 'chart'} ${chart.name} ${chart.version} (${Math.ceil(size / 1024)} KiB)`);
    const body = chart.file === undefined ? Readable.from([Buffer.from(chart.bytes)]) : createReadStream(chart.file.path);
    const sent = await uploadBlob(context, connection, { digest: chart.digest, size, body, name: chart.name });
    if (!sent.ok) return { ok: false, failure: { ...sent.failure, element: `${chart.kind ?? 'chart'} ${chart.name} ${chart.version}` } };
  }
  return { ok: true, value: undefined };
};

const tooLarge = (document: AnyDocument): Trouble | undefined => {
  const bytes = Buffer.byteLength(JSON.stringify(document.value.spec));
  if (bytes <= limits.apiBodyBytes) return undefined;
  return {
    what: documentName(document),
    why: `has ${bytes} bytes with its files; the hub takes ${limits.apiBodyBytes}`,
    next: 'split the layers over several profiles, or move files into a chart',
    exit: exits.error,
  };
};

const failedOf = (document: AnyDocument, item: Trouble): Applied => ({
  kind: document.kind,
  name: documentName(document).split(' ')[1] ?? document.name,
  project: document.project,
  result: 'failed',
  message: `${item.what}: ${item.why}${item.next === undefined ? '' : `\n  next: ${item.next}`}`,
  exit: item.exit,
});
const appliedOf = (document: AnyDocument, result: Applied['result'], state: string): Applied => ({
  kind: document.kind,
  name: documentName(document).split(' ')[1] ?? document.name,
  project: document.project,
  result,
  state,
});

const applyProfile = async (context: Context, connection: Connection, given: ProfileDocument, options: ApplyOptions): Promise<Applied> => {
  const imported = await importSources(context, connection, given);
  if (!imported.ok) return failedOf(given, imported.trouble);
  const document = imported.value;
  const params = { project: document.project, name: document.name, version: document.version };
  const { labels } = document.value.metadata;
  const before = await connection.client.call('getProfile', { params });
  if (!before.ok && before.failure.status !== 404) return failedOf(document, apiTrouble(before.failure));
  const uploaded = await uploadCharts(context, connection, document.charts);
  if (!uploaded.ok) return failedOf(document, apiTrouble(uploaded.failure));
  const body = { spec: document.value.spec, ...(labels === undefined ? {} : { labels }), ...(options.draft ? { draft: true } : {}) };
  const answer = await connection.client.call('applyProfile', { params, body, ...(options.dryRun ? { query: { dryRun: 'true' as const } } : {}) });
  if (!answer.ok) return failedOf(document, apiTrouble(answer.failure));
  const isSame =
    before.ok &&
    before.value.digest === answer.value.digest &&
    before.value.state === answer.value.state &&
    canonicalJson(before.value.labels) === canonicalJson(answer.value.labels);
  return appliedOf(
    document,
    isSame ? 'unchanged' : options.dryRun ? (before.ok ? 'would-change' : 'would-create') : before.ok ? 'changed' : 'created',
    answer.value.state,
  );
};

/** Profile versions of this very command that the hub does not hold yet: a plan for a cluster that uses one cannot be made. */
const unseenProfile = (document: ClusterDocument, results: readonly Applied[]): string | undefined =>
  document.value.spec.profiles
    .map((item) => `${item.name}@${item.version}`)
    .find((name) =>
      results.some(
        (item) =>
          item.kind === 'Profile' &&
          item.project === document.project &&
          item.name === name &&
          (item.result === 'would-create' || item.result === 'would-change'),
      ),
    );

const failedProfile = (document: ClusterDocument, results: readonly Applied[]): string | undefined =>
  document.value.spec.profiles
    .map((item) => `${item.name}@${item.version}`)
    .find((name) => results.some((item) => item.kind === 'Profile' && item.project === document.project && item.name === name && item.result === 'failed'));

const clusterBody = (document: ClusterDocument) => ({
  spec: document.value.spec,
  ...(document.value.metadata.labels === undefined ? {} : { labels: document.value.metadata.labels }),
});

const planOnly = async (context: Context, connection: Connection, document: ClusterDocument, results: readonly Applied[]): Promise<Applied> => {
  const unseen = unseenProfile(document, results);
  if (unseen !== undefined)
    return {
      ...appliedOf(document, 'would-change', 'planned'),
      message: `its plan needs profile ${unseen}, which this dry run does not store. Apply the profile first, then: gp diff -f FILE`,
    };
  const plan = await connection.client.call('planCluster', { params: { project: document.project, name: document.name }, body: clusterBody(document) });
  if (!plan.ok) return failedOf(document, apiTrouble(plan.failure));
  if (['table', 'wide'].includes(formatOf(context)))
    await context.io.stdout.write(planText(`cluster ${document.name}`, plan.value, painter(context, context.io.stdout), false));
  return appliedOf(document, plan.value.changes ? 'would-change' : 'unchanged', 'planned');
};

const applyCluster = async (
  context: Context,
  connection: Connection,
  document: ClusterDocument,
  results: readonly Applied[],
  options: ApplyOptions,
): Promise<Applied> => {
  const failed = failedProfile(document, results);
  if (failed !== undefined) return { ...appliedOf(document, 'skipped', ''), message: `its profile ${failed} was not applied` };
  if (options.dryRun) return planOnly(context, connection, document, results);
  const params = { project: document.project, name: document.name };
  const before = await connection.client.call('getCluster', { params });
  if (!before.ok && before.failure.status !== 404) return failedOf(document, apiTrouble(before.failure));
  const answer = await connection.client.call('applyCluster', { params, body: clusterBody(document) });
  if (!answer.ok) return failedOf(document, apiTrouble(answer.failure));
  const result = !before.ok ? 'created' : before.value.rowVersion === answer.value.rowVersion ? 'unchanged' : 'changed';
  return appliedOf(document, result, answer.value.state);
};

const words: Readonly<Record<Applied['result'], string>> = {
  created: 'created',
  changed: 'changed',
  unchanged: 'unchanged',
  'would-create': 'would be created',
  'would-change': 'would be changed',
  failed: 'failed',
  skipped: 'skipped',
};

const tell = async (context: Context, item: Applied): Promise<void> => {
  const { stdout, stderr } = context.io;
  const format = formatOf(context);
  const isBad = item.result === 'failed' || item.result === 'skipped';
  const paint = painter(context, isBad ? stderr : stdout);
  if (isBad) {
    const [why = '', ...next] = (item.message ?? '').split('\n  next: ');
    return stderr.write(
      troubleText(
        { what: `${item.kind.toLowerCase()} ${item.name} ${words[item.result]}`, why, ...(next[0] === undefined ? {} : { next: next[0] }), exit: 1 },
        (text) => paint('bad', text),
      ),
    );
  }
  if (format === 'name') return stdout.write(`${item.kind.toLowerCase()}/${item.name}\n`);
  if (format !== 'table' && format !== 'wide') return undefined;
  const state = item.kind === 'Profile' && item.state !== undefined && item.state !== '' ? ` (${item.state})` : '';
  await stdout.write(`${item.kind.toLowerCase()} ${printable(item.name)} ${paint(item.result === 'unchanged' ? 'dim' : 'good', words[item.result])}${state}\n`);
  return item.message === undefined ? undefined : notice(context, `  ${printable(item.message)}`);
};

/** 0 when all went well, 4 when some did, 5 when everything was denied, otherwise 1. */
const exitOf = (results: readonly Applied[]): number => {
  const bad = results.filter((item) => item.result === 'failed' || item.result === 'skipped');
  if (bad.length === 0) return exits.ok;
  if (bad.length < results.length) return exits.partly;
  return bad.every((item) => item.result === 'skipped' || item.exit === exits.denied) ? exits.denied : exits.error;
};

const finish = async (context: Context, results: readonly Applied[]): Promise<void> => {
  const format = formatOf(context);
  if (format !== 'json' && format !== 'yaml') return;
  const value = { results: results.map(({ exit: _exit, ...item }) => item) };
  await context.io.stdout.write(format === 'json' ? jsonText(value) : await yamlText(value));
};

const waitForClusters = async (context: Context, connection: Connection, documents: readonly AnyDocument[], results: readonly Applied[]): Promise<number> => {
  const deadlineMs = context.io.clock.nowMs() + (context.globals.timeoutMs ?? 300_000);
  let exit: number = exits.ok;
  for (const document of documents) {
    const isSent = results.some(
      (item) =>
        item.kind === 'Cluster' && item.name === document.name && item.project === document.project && item.result !== 'failed' && item.result !== 'skipped',
    );
    if (document.kind !== 'Cluster' || !isSent) continue;
    const outcome = await waitUntil(context, connection, { project: document.project, name: document.name }, 'ready', deadlineMs);
    if (typeof outcome === 'number') continue;
    await context.io.stderr.write(troubleText(outcome, (text) => painter(context, context.io.stderr)('bad', text)));
    exit = exits.error;
  }
  return exit;
};

/** `gp apply`: profiles first, then clusters; one that fails does not stop those that do not need it. */
export const apply = async (context: Context, options: ApplyOptions): Promise<Outcome> => {
  const connection = await connect(context, { isWaiting: options.wait });
  if (!connection.ok) return connection.trouble;
  const documents = await readDocuments(context, connection.value, options.files);
  if (!documents.ok) return documents.trouble;
  const large = documents.value.map(tooLarge).find((item) => item !== undefined);
  if (large !== undefined) return large;
  const results: Applied[] = [];
  for (const document of documents.value) {
    const item =
      document.kind === 'Profile'
        ? await applyProfile(context, connection.value, document, options)
        : await applyCluster(context, connection.value, document, results, options);
    results.push(item);
    await tell(context, item);
  }
  const waited = options.wait && !options.dryRun ? await waitForClusters(context, connection.value, documents.value, results) : exits.ok;
  await finish(context, results);
  const exit = exitOf(results);
  return exit === exits.ok ? waited : exit;
};
