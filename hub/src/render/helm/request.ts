import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { HelmJob } from './instance.ts';
import { helmLimits } from './limits.ts';
import type { HelmFile, HelmRequest } from './types.ts';

const utf8 = new TextEncoder();
const bytesOf = (data: Uint8Array | string): Uint8Array => (typeof data === 'string' ? utf8.encode(data) : data);

const isPlainName = (name: string): boolean =>
  name.length > 0 &&
  name.length <= helmLimits.fileNameChars &&
  !/[\\\p{Cc}]|^[a-zA-Z]:/u.test(name) &&
  name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

/** The order in which Helm reads a folder: by name, folder by folder. CRDs are applied in it, and a chart must not depend on who listed its files. */
const byWalk = (a: HelmFile, b: HelmFile): number => {
  const [left, right] = [a.name.split('/'), b.name.split('/')];
  const at = left.findIndex((part, index) => part !== right[index]);
  return at < 0 ? left.length - right.length : right[at] === undefined ? 1 : (left[at] ?? '') < right[at] ? -1 : 1;
};

/** For each file: length of the name, name, length of the data, data; lengths are 32 bit little endian. `unframe` in the engine reads it. */
const frame = (files: readonly HelmFile[]): Uint8Array => {
  const parts = files.toSorted(byWalk).flatMap((file) => [utf8.encode(file.name), bytesOf(file.data)]);
  const framed = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(framed.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    framed.set(part, at + 4);
    at += 4 + part.length;
  }
  return framed;
};

const problemWithFiles = (files: readonly HelmFile[]): string | undefined => {
  if (files.length > helmLimits.chartFiles) return `the chart has ${files.length} files; at most ${helmLimits.chartFiles} are read`;
  const seen = new Set<string>();
  for (const { name } of files) {
    if (!isPlainName(name)) return `the chart holds a file with the name ${JSON.stringify(name.slice(0, 200))}, which is not a plain relative path`;
    if (seen.has(name)) return `the chart holds ${name} twice`;
    seen.add(name);
  }
  return undefined;
};

const problemWithSizes = (request: HelmRequest): string | undefined => {
  const over = (what: string, has: number, max: number): string | undefined => (has > max ? `${what}: ${has}, at most ${max}` : undefined);
  const setTexts = (request.sets ?? []).flatMap((set) => [set.text, ...(set.as === 'file' ? Object.values(set.files) : [])]);
  const valuesBytes = [...request.values, ...setTexts].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return (
    over('layers of values', request.values.length, helmLimits.valuesLayers) ??
    over('bytes of values', valuesBytes, helmLimits.valuesBytes) ??
    over('--set expressions', request.sets?.length ?? 0, helmLimits.sets) ??
    over('API versions', request.apiVersions.length, helmLimits.apiVersions) ??
    over('declared lookup objects', request.lookup?.length ?? 0, helmLimits.lookupObjects) ??
    (Number.isFinite(request.nowMs) && Math.abs(request.nowMs) < 9e12 ? undefined : `the time ${request.nowMs} is not a number of milliseconds since 1970`)
  );
};

/** Checks a request against the limits and writes it the way the engine reads it. */
export const encodeHelmRequest = (request: HelmRequest, memoryBytes: number): Result<HelmJob> => {
  const { chart } = request;
  const element = `release ${request.release.namespace}/${request.release.name}`;
  const inChart = chart.kind === 'files' ? problemWithFiles(chart.files) : undefined;
  if (inChart !== undefined) return fail('fatal', 'chart-invalid', element, `${inChart}.`);
  const sizes = problemWithSizes(request);
  if (sizes !== undefined) return fail('fatal', 'render-request-invalid', element, `Rendering is bounded: ${sizes}.`);
  const bundleBytes = chart.kind === 'archive' ? chart.bytes.length : chart.files.reduce((sum, file) => sum + file.data.length, 0);
  if (bundleBytes > helmLimits.chartBytes) {
    return fail('fatal', 'chart-invalid', element, `The chart has ${bundleBytes} bytes; at most ${helmLimits.chartBytes} are read.`);
  }
  const requestJson = JSON.stringify({
    archive: chart.kind === 'archive',
    values: request.values,
    sets: request.sets ?? [],
    release: request.release,
    kubeVersion: request.kubeVersion,
    apiVersions: request.apiVersions,
    apiVersionsOnly: request.apiVersionsOnly ?? false,
    skipSchema: request.skipSchema ?? false,
    lookup: request.lookup ?? [],
    memoryBytes,
  });
  const bundle = chart.kind === 'archive' ? chart.bytes : frame(chart.files);
  return ok({ requestJson, bundle, seed: request.seed, nowMs: request.nowMs });
};
