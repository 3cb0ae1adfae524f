import { createHash } from 'node:crypto';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { isMap, isScalar, isSeq, parseAllDocuments, type Node } from 'yaml';
import type { HelmChart, HelmRequest } from './types.ts';

const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');

/** Digest of a packed chart, or of its files whatever their order. */
export const helmChartDigest = (chart: HelmChart): string => {
  if (chart.kind === 'archive') return sha256(chart.bytes);
  return sha256(canonicalJson(Object.fromEntries(chart.files.map((file) => [file.name, sha256(file.data)]))));
};

/** Thrown inside this file only: the text says something that has more than one plain reading. */
const notPlain = Symbol('not plain');

/**
 * Scalars keep how they were written: Helm reads YAML 1.1, where `on` and `"on"` differ, and reading them with another reader here must never make
 * two different values equal. So only comments, layout, quoting style and the order of keys are forgotten.
 */
const plainForm = (node: Node | null): unknown => {
  if (node === null) return 'plain:';
  if ('anchor' in node && node.anchor !== undefined) throw notPlain;
  if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) throw notPlain;
  if (isSeq(node)) return node.items.map((item) => plainForm(item as Node | null));
  if (isMap(node)) {
    return Object.fromEntries(
      node.items.map((pair) => {
        const key = plainForm(pair.key as Node | null);
        if (typeof key !== 'string' || key === 'plain:<<' || pair.key === null) throw notPlain;
        return [key, plainForm(pair.value as Node | null)];
      }),
    );
  }
  if (!isScalar(node)) throw notPlain;
  return node.type === 'PLAIN' ? `plain:${node.source ?? ''}` : `text:${String(node.value)}`;
};

/** A layer of values with what cannot matter taken out, or its text when it uses anchors, tags, directives or several documents. */
const canonicalLayer = (text: string): unknown => {
  const raw = { raw: text };
  if (/(^|\s)[!&*%]/m.test(text)) return raw;
  const documents = parseAllDocuments(text, { uniqueKeys: true, schema: 'failsafe' });
  const [first] = documents;
  if (!Array.isArray(documents) || documents.length !== 1 || first === undefined || first.errors.length > 0 || first.warnings.length > 0) return raw;
  try {
    return { plain: plainForm(first.contents) };
  } catch (cause) {
    if (cause === notPlain) return raw;
    throw cause;
  }
};

/**
 * Key under which a render may be reused: SHA-256 over every input that can change the result. Pass `seed` and `clock` as true until a first result
 * said (`usedRandom`, `usedClock`) that the chart does not look at them; then clusters with equal inputs share one render.
 * `engineDigest` is the one of `readHelmEngineIdentity`.
 */
export const helmCacheKey = (request: HelmRequest, keyOf: { engineDigest: string; seed: boolean; clock: boolean }): string =>
  sha256(
    canonicalJson({
      engine: keyOf.engineDigest,
      chart: helmChartDigest(request.chart),
      values: request.values.map(canonicalLayer),
      sets: request.sets ?? [],
      name: request.release.name,
      namespace: request.release.namespace,
      revision: Math.max(request.release.revision ?? 1, 1),
      isUpgrade: request.release.isUpgrade ?? false,
      kubeVersion: request.kubeVersion,
      apiVersions: [...new Set(request.apiVersions)].toSorted(),
      apiVersionsOnly: request.apiVersionsOnly ?? false,
      skipSchema: request.skipSchema ?? false,
      lookup: request.lookup ?? [],
      seed: keyOf.seed ? request.seed : null,
      nowMs: keyOf.clock ? request.nowMs : null,
    }),
  );
