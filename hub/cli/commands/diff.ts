import type { PlanView, ProfileView } from '@groundplane/protocol/api/views';
import { digestOf } from '@groundplane/protocol/digest';
import { documentName, type ClusterDocument, type ProfileDocument } from '../authoring/document.ts';
import { importSources } from '../authoring/import-sources.ts';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { formatOf, jsonText, yamlText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { painter } from '../output/style.ts';
import { apiTrouble, exits, troubleText, type Outcome, type Trouble } from '../trouble.ts';
import { readDocuments } from './apply.ts';
import { lineDiff } from './line-diff.ts';
import { planText, sign } from './plan-text.ts';
import { newestVersion } from './versions.ts';

export type LayerDiff = { name: string; change: 'add' | 'change' | 'remove' | 'same'; before: string; after: string };
interface Difference {
  of: string;
  changes: boolean;
  layers?: LayerDiff[];
  plan?: PlanView;
  note?: string;
}
type Found = { ok: true; value: Difference } | { ok: false; trouble: Trouble };

const layerTexts = async (layers: ProfileView['spec']['layers']): Promise<Map<string, string>> => {
  const { stringify } = await import('../output/yaml.ts');
  return new Map(layers.map((layer) => [layer.name, stringify(layer, { lineWidth: 0, aliasDuplicateObjects: false })]));
};

export const compareLayerLists = async (before: ProfileView['spec']['layers'], after: ProfileView['spec']['layers']): Promise<LayerDiff[]> => {
  const [old, next] = [await layerTexts(before), await layerTexts(after)];
  return [...new Set([...next.keys(), ...old.keys()])].map((name) => {
    const [was, will] = [old.get(name), next.get(name)];
    return { name, change: was === undefined ? 'add' : will === undefined ? 'remove' : was === will ? 'same' : 'change', before: was ?? '', after: will ?? '' };
  });
};

/** A profile of a file against the same version at the hub, or against the newest one when the version is new. */
const diffProfileFile = async (context: Context, connection: Connection, given: ProfileDocument): Promise<Found> => {
  const imported = await importSources(context, connection, given);
  if (!imported.ok) return imported;
  const document = imported.value;
  const { project, name, version } = document;
  const of = documentName(document);
  const same = await connection.client.call('getProfile', { params: { project, name, version } });
  if (!same.ok && same.failure.status !== 404) return { ok: false, trouble: apiTrouble(same.failure) };
  if (same.ok) {
    const changes = same.value.digest !== digestOf(document.value.spec);
    const note = changes && same.value.state === 'released' ? `${version} is released and cannot change; raise metadata.version` : undefined;
    return {
      ok: true,
      value: { of, changes, layers: await compareLayerLists(same.value.spec.layers, document.value.spec.layers), ...(note === undefined ? {} : { note }) },
    };
  }
  const newest = await newestVersion(connection, project, name);
  if (!newest.ok) return { ok: false, trouble: apiTrouble(newest.failure) };
  const base = newest.value === undefined ? undefined : await connection.client.call('getProfile', { params: { project, name, version: newest.value } });
  if (base !== undefined && !base.ok) return { ok: false, trouble: apiTrouble(base.failure) };
  const layers = await compareLayerLists(base?.value.spec.layers ?? [], document.value.spec.layers);
  return {
    ok: true,
    value: { of, changes: true, layers, note: newest.value === undefined ? 'the first version' : `a new version; compared with ${newest.value}` },
  };
};

const diffClusterFile = async (connection: Connection, document: ClusterDocument, unseen: readonly string[]): Promise<Found> => {
  const of = documentName(document);
  const missing = document.value.spec.profiles.map((item) => `${document.project}/${item.name}@${item.version}`).find((name) => unseen.includes(name));
  if (missing !== undefined)
    return {
      ok: true,
      value: { of, changes: true, note: `its plan can be made when profile ${missing.split('/')[1] ?? ''} is at the hub. Apply that one first` },
    };
  const { labels } = document.value.metadata;
  const plan = await connection.client.call('planCluster', {
    params: { project: document.project, name: document.name },
    body: { spec: document.value.spec, ...(labels === undefined ? {} : { labels }) },
  });
  return plan.ok ? { ok: true, value: { of, changes: plan.value.changes, plan: plan.value } } : { ok: false, trouble: apiTrouble(plan.failure) };
};

export const layersText = (context: Context, layers: readonly LayerDiff[]): string => {
  const paint = painter(context, context.io.stdout);
  const shown = layers.filter((layer) => layer.change !== 'same' || formatOf(context) === 'wide');
  return shown
    .map(({ name, change, before, after }) => {
      const lines = change === 'change' ? lineDiff(before, after, paint, '      ') : '';
      return `  ${sign(paint, change, `layer ${printable(name)}`)}\n${lines}`;
    })
    .join('');
};

const show = async (context: Context, item: Difference): Promise<void> => {
  const format = formatOf(context);
  const { stdout } = context.io;
  if (format === 'name') return item.changes ? stdout.write(`${item.of.replace(' ', '/')}\n`) : undefined;
  if (format !== 'table' && format !== 'wide') return undefined;
  const paint = painter(context, stdout);
  if (item.plan !== undefined) return stdout.write(planText(item.of, item.plan, paint, format === 'wide'));
  const note = item.note === undefined ? '' : ` (${printable(item.note)})`;
  return stdout.write(`${paint('bold', printable(item.of))}: ${item.changes ? 'changes' : 'no changes'}${note}\n${layersText(context, item.layers ?? [])}`);
};

const showAll = async (context: Context, items: readonly Difference[]): Promise<void> => {
  const format = formatOf(context);
  if (format === 'json') await context.io.stdout.write(jsonText(items));
  if (format === 'yaml') await context.io.stdout.write(await yamlText(items));
};

/** `gp diff -f FILE`: what applying it would do. Exit code 3 when that is anything. */
export const diffFiles = async (context: Context, files: readonly string[]): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const documents = await readDocuments(context, connection.value, files);
  if (!documents.ok) return documents.trouble;
  const found: Difference[] = [];
  const unseen: string[] = [];
  let exit: number = exits.ok;
  for (const document of documents.value) {
    const result =
      document.kind === 'Profile' ? await diffProfileFile(context, connection.value, document) : await diffClusterFile(connection.value, document, unseen);
    if (!result.ok) {
      exit = result.trouble.exit;
      await context.io.stderr.write(troubleText(result.trouble, (text) => painter(context, context.io.stderr)('bad', text)));
      continue;
    }
    found.push(result.value);
    if (document.kind === 'Profile' && result.value.changes) unseen.push(`${document.project}/${document.name}@${document.version}`);
    await show(context, result.value);
  }
  await showAll(context, found);
  return exit !== exits.ok ? exit : found.some((item) => item.changes) ? exits.different : exits.ok;
};

/** `gp diff profile NAME FROM TO`: two versions at the hub. Exit code 3 when they differ. */
export const diffVersions = async (context: Context, name: string, from: string, to: string): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('diffProfile', { params: { project: connection.value.project, name }, query: { from, to } });
  if (!answer.ok) return apiTrouble(answer.failure);
  const changes = answer.value.layers.some((layer) => layer.change !== 'same');
  const format = formatOf(context);
  if (format === 'json') await context.io.stdout.write(jsonText(answer.value));
  else if (format === 'yaml') await context.io.stdout.write(await yamlText(answer.value));
  else await show(context, { of: `profile ${name} ${from} → ${to}`, changes, layers: answer.value.layers });
  if (!changes) await notice(context, 'the two versions have the same layers');
  return changes ? exits.different : exits.ok;
};
