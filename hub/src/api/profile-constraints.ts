import type { Finding } from '@groundplane/protocol/finding';
import type { Layer } from '@groundplane/protocol/layer';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { solveConstraints, type PlacedPack } from '@groundplane/protocol/pack/constraints';
import { parsePackJson } from '@groundplane/protocol/pack/pack-json';
import { readPackArchive, textOf } from '../pack/read.ts';
import type { ContentStore } from '../port/content.ts';

/** What people call the unit of a layer: the names that constraints of packs speak of. */
const placed = (layer: Layer, version: string): PlacedPack => {
  const unit = layer.helm?.chart ?? layer.zarf?.package ?? layer.pack;
  return { name: unit?.name ?? layer.kubernetes?.distribution ?? layer.name, version: unit?.version ?? version, kind: layer.kind, layer: layer.name };
};

/** What the packs of a profile say about each other. A pack that cannot be read is the business of rendering, which says so. */
export const profileConstraints = async (content: ContentStore, spec: ProfileSpec, version: string): Promise<Finding[]> => {
  const others = spec.layers.map((layer) => placed(layer, version));
  const findings: Finding[] = [];
  for (const { name, pack } of spec.layers) {
    const bytes = pack?.digest === undefined ? undefined : await content.read(pack.digest);
    const files = bytes === undefined ? undefined : await readPackArchive(bytes, `layer ${name}`);
    const facts = files?.ok === true ? parsePackJson(textOf(files.value, 'pack.json') ?? '').facts : undefined;
    if (facts !== undefined && facts.constraints.dependencies.length > 0) findings.push(...solveConstraints(facts, others, `layer ${name}`));
  }
  return findings;
};
