import type { Failure } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';

/** One file of an unpacked chart; the name is relative to the folder that holds Chart.yaml (`templates/web.yaml`). */
export interface HelmFile {
  name: string;
  data: Uint8Array | string;
}

/** A packed chart (`.tgz`, as `helm package` makes it), or its files. `.helmignore` is not read: it belongs to packing. */
export type HelmChart = { kind: 'archive'; bytes: Uint8Array } | { kind: 'files'; files: readonly HelmFile[] };

/** One `--set`, `--set-string`, `--set-json` or `--set-literal`; or a `--set-file` with the texts of the files that it names, by path. */
export type HelmSet = { as: 'set' | 'string' | 'json' | 'literal'; text: string } | { as: 'file'; text: string; files: Readonly<Record<string, string>> };

/** Everything a render depends on. Two equal requests give byte-identical results. */
export interface HelmRequest {
  chart: HelmChart;
  /** YAML texts merged as `helm -f` does: later ones win, maps merge, null deletes a default of the chart. */
  values: readonly string[];
  /** `--set` expressions and their kin, applied in this order after all layers. */
  sets?: readonly HelmSet[];
  release: { name: string; namespace: string; revision?: number; isUpgrade?: boolean };
  /** `v1.33.4`, as the cluster tells it. */
  kubeVersion: string;
  /** `apps/v1` or `apps/v1/Deployment`. Added to Helm's built-in list, unless `apiVersionsOnly`. */
  apiVersions: readonly string[];
  /** The list above is complete, because the cluster's discovery told it. */
  apiVersionsOnly?: boolean;
  skipSchema?: boolean;
  /** What `lookup` may find. Everything else is empty, as in `helm template`. */
  lookup?: readonly KubeObject[];
  /** What every random byte is derived from. Must hold neither values nor revision, or passwords change with each edit. */
  seed: string;
  /** The only time the chart sees, in milliseconds since 1970. */
  nowMs: number;
}

/** One YAML document as the chart wrote it. `source` is the file it came from, in Helm's spelling (`web/templates/service.yaml`). */
export interface HelmDocument {
  source: string;
  apiVersion?: string;
  kind?: string;
  name?: string;
  content: string;
}

/** In Helm's order by kind; whoever runs them sorts by weight. */
export interface HelmHook extends HelmDocument {
  events: string[];
  weight: number;
  deletePolicies: string[];
  outputLogPolicies: string[];
}

export interface HelmChartFacts {
  name: string;
  version: string;
  appVersion?: string;
  type?: string;
  apiVersion: string;
  deprecated?: boolean;
  /** Subcharts that conditions and tags left enabled, by path of names or aliases (`web/db`), parents first. */
  dependencies: { path: string; version: string; type?: string }[];
}

export interface HelmLookup {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  found: boolean;
}

export interface HelmRendered {
  /** `helm v4.3.1`. */
  engineVersion: string;
  /** SHA-256 of the WebAssembly module, which also covers our own part of it. */
  engineDigest: string;
  chart: HelmChartFacts;
  /** Files under `crds/`, each maybe of several documents; never templated. */
  crds: HelmDocument[];
  /** In Helm's install order. */
  manifests: HelmDocument[];
  hooks: HelmHook[];
  notes: string;
  /** What `.Values` was: the chart's defaults with everything merged in. */
  values: Record<string, unknown>;
  /** The different lookups asked for, at most 200; not empty means the chart uses `lookup`. */
  lookups: HelmLookup[];
  usedRandom: boolean;
  /** The clock was read, or may have been (`date` with an argument that is no time). */
  usedClock: boolean;
}

/** Where in the chart's source it went wrong. A manifest that is no YAML has no source line; the message tells the rendered one. */
export interface HelmPlace {
  chart?: string;
  template?: string;
  line?: number;
}

/** A `Result<HelmRendered>` whose failure also says where. */
export type HelmResult = { ok: true; value: HelmRendered } | { ok: false; failure: Failure & { at?: HelmPlace } };

export interface HelmEngineIdentity {
  version: string;
  digest: string;
}

export interface HelmRenderer {
  /** Never rejects. Failures are `fatal` when only another chart or other values can help, `retry` when the pool was busy. */
  render(request: HelmRequest): Promise<HelmResult>;
  /** Stops the workers; waiting renders fail. */
  close(): Promise<void>;
}

/** The one thing the pool needs of a clock: a callback after a delay, and a way to cancel it. */
export interface HelmTimer {
  after(delayMs: number, callback: () => void): () => void;
}
