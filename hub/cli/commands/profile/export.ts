import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { exportPaletteProfile } from '@groundplane/protocol/palette/export';
import { apiVersion, type ProfileSpec } from '@groundplane/protocol/profile';
import { parseDocuments } from '../../authoring/document.ts';
import { readInputs } from '../../authoring/read.ts';
import { connect } from '../../connect.ts';
import type { Context } from '../../io.ts';
import { jsonText, yamlText } from '../../output/print.ts';
import { apiTrouble, exits, trouble, type Attempt, type Outcome } from '../../trouble.ts';
import { readOne } from '../get.ts';
import { printFindings } from '../../output/findings.ts';

interface Exportable {
  name: string;
  version: string;
  labels: Record<string, string>;
  spec: ProfileSpec;
}

const fromFile = async (context: Context, path: string): Promise<Attempt<Exportable>> => {
  const inputs = await readInputs(context.io, [path]);
  if (!inputs.ok) return inputs;
  const parsed = await parseDocuments(inputs.value, 'default', undefined);
  if (!parsed.ok) return parsed;
  const [profile, ...more] = parsed.value;
  if (profile?.kind !== 'Profile' || more.length > 0) return { ok: false, trouble: trouble(path, 'must hold exactly one document, of kind Profile') };
  return { ok: true, value: { name: profile.name, version: profile.version, labels: profile.value.metadata.labels ?? {}, spec: profile.value.spec } };
};

const fromHub = async (context: Context, name: string): Promise<Attempt<Exportable>> => {
  const connection = await connect(context);
  if (!connection.ok) return connection;
  const answer = await readOne(connection.value, 'profile', name);
  if (!answer.ok) return { ok: false, trouble: apiTrouble(answer.failure) };
  const profile = answer.value;
  if (!('usedBy' in profile)) return { ok: false, trouble: trouble(name, 'is no profile') };
  return { ok: true, value: { name: profile.name, version: profile.version, labels: profile.labels, spec: profile.spec } };
};

/** `gp profile export FILE|NAME[@VERSION]`: the JSON that Palette imports, or our own document. */
export const exportProfile = async (context: Context, name: string, format: 'palette' | 'yaml'): Promise<Outcome> => {
  const isFile = await stat(resolve(context.io.cwd, name)).then(
    (info) => info.isFile(),
    () => false,
  );
  const profile = isFile ? await fromFile(context, name) : await fromHub(context, name);
  if (!profile.ok) return profile.trouble;
  if (format === 'yaml') {
    const { spec, labels, ...metadata } = profile.value;
    await context.io.stdout.write(
      await yamlText({ apiVersion, kind: 'Profile', metadata: { ...metadata, ...(Object.keys(labels).length === 0 ? {} : { labels }) }, spec }),
    );
    return exits.ok;
  }
  const exported = exportPaletteProfile(profile.value);
  await printFindings(context, exported.findings);
  await context.io.stdout.write(jsonText(exported.profile));
  return exits.ok;
};
