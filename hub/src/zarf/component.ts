import { createHash } from 'node:crypto';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ZarfChart, ZarfComponent } from '@groundplane/protocol/zarf/package';
import { walkArchive } from '../archive/read.ts';
import type { ContentStore } from '../port/content.ts';
import { zarfReadLimits } from './limits.ts';
import type { OpenedZarf } from './stored.ts';

export interface ComponentFile {
  digest: Digest;
  size: number;
  mode: number;
}

/** A component's own archive: its files by path without the leading folder (`charts/web-1.0.0.tgz`); all are blobs of the content store. */
export type ComponentFiles = ReadonlyMap<string, ComponentFile>;

const hashed = async (body: AsyncIterable<Buffer>, keep: boolean): Promise<{ digest: Digest; size: number; data: Buffer | undefined }> => {
  const hash = createHash('sha256');
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    hash.update(part);
    size += part.length;
    if (keep) parts.push(part);
  }
  return { digest: `sha256:${hash.digest('hex')}`, size, data: keep ? Buffer.concat(parts) : undefined };
};

/** Unpacks a component's archive into blobs. Small files go at once; large ones are hashed first and stored in a second walk, never held in memory. */
export const readComponent = async (content: ContentStore, opened: OpenedZarf, component: ZarfComponent, element: string): Promise<Result<ComponentFiles>> => {
  const archive = opened.files.get(`components/${component.name}.tar`);
  if (archive === undefined) return ok(new Map());
  const size = await content.size(archive.digest);
  if (size === undefined)
    return fail('blocked', 'zarf-missing', element, `components/${component.name}.tar is not in the content store. Run gp apply with the package file again`);
  const name = `${element}, components/${component.name}.tar`;
  const prefix = `${component.name}/`;
  const open = () => content.stream(archive.digest, 0, Math.max(0, size - 1));
  const files = new Map<string, ComponentFile>();
  const large = new Map<string, ComponentFile>();
  const walked = await walkArchive(open(), zarfReadLimits.component, name, async (entry) => {
    if (entry.kind !== 'file') return ok(undefined);
    if (!entry.name.startsWith(prefix))
      return fail('fatal', 'zarf-component-invalid', name, `holds ${entry.name}, which is not in the folder of the component`);
    const keep = entry.size <= zarfReadLimits.bufferBytes;
    const read = await hashed(entry.body as AsyncIterable<Buffer>, keep);
    const file = { digest: read.digest, size: read.size, mode: entry.mode };
    files.set(entry.name.slice(prefix.length), file);
    if (read.data !== undefined) await content.put(read.data);
    else if ((await content.size(read.digest)) === undefined) large.set(entry.name, file);
    return ok(undefined);
  });
  if (!walked.ok) return walked;
  if (large.size === 0) return ok(files);
  const again = await walkArchive(open(), zarfReadLimits.component, name, async (entry) => {
    const file = large.get(entry.name);
    if (file === undefined) return ok(undefined);
    const received = await content.receive(file.digest, entry.body, file.size);
    return received.ok ? ok(undefined) : received;
  });
  return again.ok ? ok(files) : again;
};

/** Zarf names a chart's files `<name>-<version>`; without a version `<name>`, and in older versions `<name>-`. */
const stems = (chart: ZarfChart): string[] => [...(chart.version === '' ? [] : [`${chart.name}-${chart.version}`]), chart.name, `${chart.name}-`];

export interface ChartFiles {
  archive: string;
  values: string[];
}

export const chartFiles = (chart: ZarfChart, files: ComponentFiles, element: string): Result<ChartFiles> => {
  const stem = stems(chart).find((name) => files.has(`charts/${name}.tgz`));
  if (stem === undefined)
    return fail('fatal', 'zarf-chart-missing', element, `its archive charts/${stems(chart)[0] ?? chart.name}.tgz is not in the package; build it again`);
  const values = Array.from({ length: chart.valuesFiles }, (_, index) => {
    const name = [stem, ...stems(chart)].map((item) => `values/${item}-${index}`).find((path) => files.has(path));
    return name ?? `values/${stem}-${index}`;
  });
  const gone = values.find((name) => !files.has(name));
  return gone === undefined
    ? ok({ archive: `charts/${stem}.tgz`, values })
    : fail('fatal', 'zarf-values-missing', element, `its values file ${gone} is not in the package; build it again`);
};

/** Files that no chart, manifest or file of the definition mentions. */
export const unmentioned = (component: ZarfComponent, files: ComponentFiles, used: ReadonlySet<string>): string[] =>
  [...files.keys()].filter((name) => !used.has(name) && !component.files.some((_, index) => name.startsWith(`files/${index}/`) || name === `files/${index}`));
