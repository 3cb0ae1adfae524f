import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { importPaletteProfile, type Imported } from '@groundplane/protocol/palette/import';
import { limits } from '@groundplane/protocol/limits';
import { readText } from '../../authoring/read.ts';
import { notice, type Context } from '../../io.ts';
import { jsonText, yamlText } from '../../output/print.ts';
import { exits, trouble, type Attempt, type Outcome } from '../../trouble.ts';
import { hasErrors, printFindings } from '../../output/findings.ts';

export interface ImportOptions {
  packs: string[];
  out: string | undefined;
}

const foldersMax = 5_000;
const depthMax = 4;

interface LocalPack {
  path: string;
  name: string;
  version: string;
}

/** Every pack below a folder, by its pack.json. Folders of links and hidden ones are not entered. */
const findPacks = async (root: string): Promise<LocalPack[]> => {
  const found: LocalPack[] = [];
  const open: { path: string; depth: number }[] = [{ path: root, depth: 0 }];
  for (let seen = 0; seen < foldersMax; seen += 1) {
    const next = open.pop();
    if (next === undefined) break;
    const entries = await readdir(next.path, { withFileTypes: true }).catch(() => []);
    if (entries.some((entry) => entry.isFile() && entry.name === 'pack.json')) {
      const facts = await readFile(join(next.path, 'pack.json'), 'utf8').then(
        (text) => JSON.parse(text) as { name?: unknown; version?: unknown },
        () => undefined,
      );
      if (typeof facts?.name === 'string' && typeof facts.version === 'string') found.push({ path: next.path, name: facts.name, version: facts.version });
      continue;
    }
    if (next.depth < depthMax)
      for (const entry of entries)
        if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
          open.push({ path: join(next.path, entry.name), depth: next.depth + 1 });
  }
  return found;
};

const readJson = async (context: Context, name: string): Promise<Attempt<unknown>> => {
  const text =
    name === '-'
      ? { ok: true as const, value: new TextDecoder().decode(await context.io.stdin.read(limits.yamlBytes)) }
      : await readText(resolve(context.io.cwd, name), limits.yamlBytes);
  if (!text.ok) return text;
  try {
    return { ok: true, value: JSON.parse(text.value) as unknown };
  } catch (error) {
    return {
      ok: false,
      trouble: trouble(
        name,
        `is not JSON: ${(error as Error).message}`,
        'export the profile in Palette as JSON; YAML profiles need no import: gp apply -f FILE',
      ),
    };
  }
};

interface PlainLayer {
  name: string;
  pack?: Record<string, unknown>;
}

/** Points layers at the packs that are there on this machine; answers what is still to be found. */
const linkPacks = (imported: Imported, local: readonly LocalPack[], folder: string): string[] => {
  const layers = (imported.document['spec'] as { layers: PlainLayer[] }).layers;
  return imported.sources.flatMap((source) => {
    const match = source.kind === 'pack' ? local.find((pack) => pack.name === source.name && pack.version === source.version) : undefined;
    const layer = layers.find((item) => item.name === source.layer);
    if (match === undefined || layer?.pack === undefined)
      return [`layer ${source.layer}: ${source.kind} ${source.name} ${source.version}${source.registry === '' ? '' : ` of registry ${source.registry}`}`];
    const { values } = layer.pack;
    layer.pack = { path: relative(folder, match.path) || '.', ...(values === undefined ? {} : { values }) };
    return [];
  });
};

/** `gp profile import FILE`: Palette's JSON as a document of ours, on stdout or in a file. */
export const importProfile = async (context: Context, name: string, options: ImportOptions): Promise<Outcome> => {
  const json = await readJson(context, name);
  if (!json.ok) return json.trouble;
  const imported = importPaletteProfile(json.value, name);
  if (!imported.ok) return trouble(imported.failure.element, imported.failure.message);
  const local = (await Promise.all(options.packs.map((folder) => findPacks(resolve(context.io.cwd, folder))))).flat();
  const out = options.out === undefined ? undefined : resolve(context.io.cwd, options.out);
  const open = linkPacks(imported.value, local, out === undefined ? context.io.cwd : dirname(out));
  await printFindings(context, imported.value.findings);
  for (const line of open) await notice(context, `still to be found before gp apply: ${line}`);
  const text = context.globals.output === 'json' ? jsonText(imported.value.document) : await yamlText(imported.value.document);
  if (out === undefined) await context.io.stdout.write(text);
  else
    try {
      await writeFile(out, text, { flag: 'wx' });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return trouble(options.out ?? '', code === 'EEXIST' ? 'exists already' : message, 'name another file, or remove it first');
    }
  return hasErrors(imported.value.findings) ? exits.error : exits.ok;
};
