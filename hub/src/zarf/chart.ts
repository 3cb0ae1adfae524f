import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { hasMarkers, replaceMarkers, type ZarfTexts } from '@groundplane/protocol/zarf/variables';
import type { ZarfPackage } from '@groundplane/protocol/zarf/package';
import { parse } from 'yaml';
import { z } from 'zod';
import { readArchive, type ArchiveFile } from '../archive/read.ts';
import { packTgz } from '../archive/write.ts';
import { zarfReadLimits } from './limits.ts';

/** Subcharts in subcharts; deeper ones are left to the engine. */
const nestingMax = 4;

const factsSchema = z.looseObject({ name: z.string().min(1).max(250), version: z.union([z.string().min(1).max(128), z.number()]) });

const isText = (data: Buffer): boolean => {
  if (data.includes(0)) return false;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(data);
    return true;
  } catch {
    return false;
  }
};

interface Change {
  texts: ZarfTexts;
  zarf: ZarfPackage;
  dropSchema: boolean;
}

const changeFile = async (file: ArchiveFile, change: Change, depth: number, element: string): Promise<Result<Buffer>> => {
  if (file.name.endsWith('.tgz') && depth < nestingMax) {
    const nested = await changeArchive(file.data, change, depth + 1, `${element}, ${file.name}`);
    return nested.ok ? ok(Buffer.from(nested.value.bytes)) : nested;
  }
  // Documentation may show markers as an example; nothing renders it.
  if (/\.md$/i.test(file.name) || !isText(file.data)) return ok(file.data);
  const text = file.data.toString('utf8');
  if (!hasMarkers(text)) return ok(file.data);
  const replaced = replaceMarkers(text, change.texts, `${element}, ${file.name}`, change.zarf);
  return replaced.ok ? ok(Buffer.from(replaced.value)) : replaced;
};

const changeArchive = async (
  bytes: Uint8Array,
  change: Change,
  depth: number,
  element: string,
): Promise<Result<{ bytes: Uint8Array; files: ArchiveFile[] }>> => {
  const files = await readArchive(bytes, zarfReadLimits.chart, element);
  if (!files.ok) return files;
  const isSchema = (name: string): boolean => /^(?:[^/]+\/)(?:charts\/[^/]+\/)*values\.schema\.json$/.test(name);
  const kept: { name: string; data: Buffer }[] = [];
  let isChanged = false;
  for (const file of files.value) {
    if (change.dropSchema && isSchema(file.name)) {
      isChanged = true;
      continue;
    }
    const changed = await changeFile(file, change, depth, element);
    if (!changed.ok) return changed;
    isChanged ||= changed.value !== file.data && !changed.value.equals(file.data);
    kept.push({ name: file.name, data: changed.value });
  }
  return ok({ bytes: isChanged ? packTgz(kept) : bytes, files: files.value });
};

/**
 * A chart of a package as the Helm engine shall see it. Zarf replaces its markers in what Helm has rendered; here they are replaced in the chart's own files
 * (subcharts too), which comes to the same for text. With `schemaValidation: false` the value schemas are taken out. An unchanged chart keeps its bytes.
 */
export const prepareChart = async (
  bytes: Uint8Array,
  change: Change,
  element: string,
): Promise<Result<{ bytes: Uint8Array; name: string; version: string }>> => {
  const changed = await changeArchive(bytes, change, 0, element);
  if (!changed.ok) return changed;
  const chartFile = changed.value.files.find((file) => /^[^/]+\/Chart\.yaml$/.test(file.name));
  let facts: unknown;
  try {
    facts = chartFile === undefined ? undefined : parse(chartFile.data.toString('utf8'), { maxAliasCount: 100 });
  } catch {
    facts = undefined;
  }
  const parsed = factsSchema.safeParse(facts);
  if (!parsed.success) return fail('fatal', 'zarf-chart-invalid', element, 'its archive holds no Chart.yaml with a name and a version');
  return ok({ bytes: changed.value.bytes, name: parsed.data.name, version: String(parsed.data.version) });
};
