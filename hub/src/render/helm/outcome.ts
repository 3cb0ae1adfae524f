import { gunzipSync } from 'node:zlib';
import { fail, type Failure } from '@groundplane/protocol/failure';
import type { HelmOutcome } from './instance.ts';
import type { HelmChartFacts, HelmDocument, HelmEngineIdentity, HelmHook, HelmLookup, HelmPlace, HelmRequest, HelmResult } from './types.ts';

type Stage = 'chart' | 'release' | 'values' | 'schema' | 'kubernetes' | 'lookup' | 'template' | 'manifest' | 'engine';

/** The engine's answer (`answer` in wire.go). It is our own module and was checked by its digest, so its shape is trusted. */
interface EngineAnswer {
  error?: { stage: Stage; message: string; template?: string; line?: number };
  chart?: HelmChartFacts;
  crds: HelmDocument[];
  manifests: HelmDocument[];
  hooks: HelmHook[];
  notes: string;
  values?: Record<string, unknown>;
  lookups: HelmLookup[];
  clockRead: boolean;
}

/** Where the engine stopped: the failure's code, and what to do about it. */
const stages: Record<Stage, { code: string; next: string }> = {
  chart: { code: 'chart-invalid', next: 'Use another version of the chart, or package it again.' },
  release: { code: 'release-name-invalid', next: 'Give the layer another release name.' },
  values: { code: 'values-invalid', next: 'Correct the values of the layer.' },
  schema: { code: 'values-against-schema', next: 'Correct the values named above, or turn the schema check off for this layer.' },
  kubernetes: { code: 'kubernetes-version-unsupported', next: 'Use another version of the chart, or of Kubernetes.' },
  lookup: { code: 'lookup-invalid', next: 'Correct the objects declared for lookup.' },
  template: { code: 'template-failed', next: 'The place is in the source of the chart; a missing value is set in the values of the layer.' },
  manifest: { code: 'manifest-invalid', next: 'The line is one of the rendered text; look for a value that breaks its YAML.' },
  engine: { code: 'render-engine-failed', next: 'This is a fault of the hub: report it with the chart.' },
};

const stops: Record<Exclude<HelmOutcome['ended'], 'answered'>, { code: string; message: string }> = {
  memory: { code: 'render-memory', message: 'rendering needed more memory than it may use. Look for a template that repeats without end, or raise the limit' },
  stack: { code: 'render-stack', message: 'the templates call each other too deeply. Look for a template that includes itself' },
  'too-large': { code: 'render-output-too-large', message: 'the rendered manifests and values are too large' },
  broken: { code: 'render-engine-failed', message: 'the engine stopped. This is a fault of the hub: report it with the chart' },
};

/** `layer text` for people: what is rendered, as far as it is known. */
export const elementOf = (request: Pick<HelmRequest, 'release'>, place: HelmPlace = {}): string =>
  [
    `release ${request.release.namespace}/${request.release.name}`,
    ...(place.chart === undefined ? [] : [`chart ${place.chart}`]),
    ...(place.template === undefined ? [] : [place.template]),
    ...(place.line === undefined ? [] : [`line ${place.line}`]),
  ].join(', ');

/** Enough for any chart's first files; the name is wanted for a message only. */
const peekBytes = 16 * 1024 * 1024;
const tarBlock = 512;

/** Chart.yaml of a packed chart, when it lies near the start of a sound archive. */
const peekChartYaml = (archive: Uint8Array): string => {
  try {
    const tar = gunzipSync(archive, { maxOutputLength: peekBytes });
    for (let at = 0; at + tarBlock <= tar.length;) {
      const name = tar.toString('latin1', at, at + 100).replace(/\0.*$/s, '');
      const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8) || 0;
      if (/^[^/]+\/Chart\.yaml$/.test(name)) return tar.toString('utf8', at + tarBlock, at + tarBlock + size);
      at += tarBlock * (1 + Math.ceil(Math.max(size, 0) / tarBlock));
    }
  } catch {
    // Not an archive, or a bomb: then the message does without a name.
  }
  return '';
};

/** The chart's name, for failures of renders that never answered. */
export const guessChartName = ({ chart }: HelmRequest): string | undefined => {
  const loose = chart.kind === 'files' ? chart.files.find(({ name }) => name === 'Chart.yaml') : undefined;
  const text = chart.kind === 'files' ? Buffer.from(loose?.data ?? '').toString('utf8') : peekChartYaml(chart.bytes);
  return /^name:\s*["']?([\w.-]+)/m.exec(text)?.[1];
};

const stoppedFailure = (request: HelmRequest, outcome: Exclude<HelmOutcome, { ended: 'answered' }>): HelmResult => {
  const chart = guessChartName(request);
  const at: HelmPlace = chart === undefined ? {} : { chart };
  const { code, message } = stops[outcome.ended];
  const { failure } = fail('fatal', code, elementOf(request, at), `The chart cannot be rendered: ${message}. (${outcome.detail})`);
  return { ok: false, failure: { ...failure, at } };
};

const engineFailure = (request: HelmRequest, answer: EngineAnswer, error: NonNullable<EngineAnswer['error']>): HelmResult => {
  const at: HelmPlace = {
    ...(answer.chart === undefined ? {} : { chart: `${answer.chart.name} ${answer.chart.version}` }),
    ...(error.template === undefined ? {} : { template: error.template }),
    ...(error.line === undefined ? {} : { line: error.line }),
  };
  const { code, next } = stages[error.stage];
  const failure: Failure = fail('fatal', code, elementOf(request, at), `${error.message.slice(0, 3_900)}\n${next}`).failure;
  return { ok: false, failure: { ...failure, at } };
};

/** Turns what a worker sent back into the result the caller sees. */
export const readOutcome = (request: HelmRequest, outcome: HelmOutcome, identity: HelmEngineIdentity): HelmResult => {
  if (outcome.ended !== 'answered') return stoppedFailure(request, outcome);
  const answer = JSON.parse(Buffer.from(outcome.answer).toString('utf8')) as EngineAnswer;
  if (answer.error !== undefined || answer.chart === undefined) {
    return engineFailure(request, answer, answer.error ?? { stage: 'engine', message: 'the engine answered without a chart' });
  }
  return {
    ok: true,
    value: {
      engineVersion: identity.version,
      engineDigest: identity.digest,
      chart: answer.chart,
      crds: answer.crds,
      manifests: answer.manifests,
      hooks: answer.hooks,
      notes: answer.notes,
      values: answer.values ?? {},
      lookups: answer.lookups,
      usedRandom: outcome.usedRandom,
      usedClock: answer.clockRead,
    },
  };
};
