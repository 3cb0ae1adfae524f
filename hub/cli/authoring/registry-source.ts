import { isDigest } from '@groundplane/protocol/digest';
import { problemAt, type Path, type Problem, type Source } from './place.ts';

/** A layer whose source lies in a registry that the hub knows: the hub takes it, and its digest goes into the profile. */
export interface RegistryRequest {
  /** Index of the layer. */
  layer: number;
  source: 'helm' | 'pack' | 'zarf';
  registry: string;
  artifact: string;
  version?: string;
  /** Given: nothing else is taken. */
  digest?: string;
}

type Plain = Record<string, unknown>;
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value);
const unknownDigest = `sha256:${'0'.repeat(64)}`;

/** Where name, version and digest of each source stand. */
const holders: Readonly<Record<RegistryRequest['source'], (source: Plain) => unknown>> = {
  helm: (source) => source.chart,
  pack: (source) => source,
  zarf: (source) => source.package,
};

/**
 * `helm: {registry, chart: {name, version}}`, `pack: {registry, name, version}` and `zarf: {registry, package: {name, version}}` of a layer. Puts a digest in
 * place that is replaced once the hub has answered. A version may be left out or be a range where the registry has versions.
 */
export const resolveRegistrySource = (layer: Plain, index: number, source: Source): { request?: RegistryRequest; problems: Problem[] } => {
  for (const name of ['helm', 'pack', 'zarf'] as const) {
    const own = layer[name];
    if (!isPlain(own) || !Object.hasOwn(own, 'registry')) continue;
    const isMachine = layer.kind === 'os' || layer.kind === 'kubernetes';
    const holder = holders[name](own);
    // A pack with a digest is there already, and one of an OS layer is only values: the registry is a remark.
    if (name === 'pack' && (isMachine || Object.hasOwn(own, 'digest') || Object.hasOwn(own, 'path'))) continue;
    const at: Path = ['spec', 'layers', index, name, 'registry'];
    const { registry } = own;
    if (name !== 'pack') delete own.registry;
    const wrong = (message: string): { problems: Problem[] } => ({ problems: [problemAt(source, at, message)] });
    const like =
      name === 'helm' ? 'chart: {name: nginx, version: 1.2.0}' : name === 'zarf' ? 'package: {name: demo, version: 1.0.0}' : 'name: nginx, version: 1.2.0';
    if (typeof registry !== 'string' || registry === '') return wrong('must be the name of a registry; see gp registry list');
    if (!isPlain(holder) || typeof holder.name !== 'string') return wrong(`says where, but not what; add ${like}`);
    const { name: artifact, version, digest } = holder;
    if (version !== undefined && typeof version !== 'string')
      return wrong(`the version must be text; write it in quotes: version: "${JSON.stringify(version)}"`);
    holder.version ??= '0.0.0';
    holder.digest ??= unknownDigest;
    const pinned = typeof digest === 'string' && isDigest(digest) ? { digest } : {};
    return { request: { layer: index, source: name, registry, artifact, ...(version === undefined ? {} : { version }), ...pinned }, problems: [] };
  }
  return { problems: [] };
};
