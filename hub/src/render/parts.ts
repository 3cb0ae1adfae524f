import type { ReadinessCheck } from '@groundplane/protocol/pack/readiness';
import type { Finding } from '@groundplane/protocol/finding';

/** One Helm chart that a layer brings, with everything its render depends on besides the cluster. */
export interface ChartPart {
  /** As in Chart.yaml. */
  name: string;
  version: string;
  /** The chart archive (.tgz). */
  archive: Uint8Array;
  /** Of the archive, where it is known already. */
  digest?: string;
  /** YAML texts, later ones win, null deletes (as `helm -f` twice). */
  values: string[];
  releaseName: string;
  namespace: string;
}

/** Kubernetes objects as text. With `values` it is a Go template over them (`.Values`), rendered by the Helm engine; without, it is taken literally. */
export interface ManifestPart {
  name: string;
  content: string;
  namespace: string;
  values?: Record<string, unknown>;
}

/** A namespace that the layer wants to exist before its objects. */
export interface NamespacePart {
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** What any source of a layer (pack, Zarf package, chart, manifests) comes down to before it is rendered. */
export interface SourceParts {
  charts: ChartPart[];
  manifests: ManifestPart[];
  namespaces: NamespacePart[];
  /** Image references that the source itself names; more are found in the rendered objects. */
  images: string[];
  /** Rewrites of image references, applied to the rendered objects: from → to, both as written in a pod. */
  imageRewrites?: ReadonlyMap<string, string>;
  /** Objects that have to say something before the layer counts as ready. */
  readiness?: readonly ReadinessCheck[];
  /** How long the source itself wants to be waited for. */
  readinessTimeoutSeconds?: number;
  warnings: Finding[];
}
