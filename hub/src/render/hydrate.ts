import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Layer } from '@groundplane/protocol/layer';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { readPackArchive, textOf } from '../pack/read.ts';
import type { ContentStore } from '../port/content.ts';

const withValues = async (content: ContentStore, layer: Layer): Promise<Result<Layer>> => {
  const { pack } = layer;
  if (pack?.digest === undefined || pack.values !== undefined) return ok(layer);
  const at = `layer ${layer.name}, pack ${pack.name} ${pack.version}`;
  const archive = await content.read(pack.digest);
  if (archive === undefined)
    return fail('blocked', 'pack-missing', at, `the pack ${pack.digest} is not in the content store. Run gp apply with the pack's folder or archive again`);
  const files = await readPackArchive(archive, at);
  return files.ok ? ok({ ...layer, pack: { ...pack, values: textOf(files.value, 'values.yaml') ?? '' } }) : files;
};

/**
 * A profile whose packs all bring their values: those that it does not edit are the pack's own. References in them count like any other, so this comes before
 * anything is resolved or compared. The same object when there is nothing to add.
 */
export const withPackValues = async (content: ContentStore, spec: ProfileSpec): Promise<Result<ProfileSpec>> => {
  if (!spec.layers.some((layer) => layer.pack?.digest !== undefined && layer.pack.values === undefined)) return ok(spec);
  const layers: Layer[] = [];
  for (const layer of spec.layers) {
    const full = await withValues(content, layer);
    if (!full.ok) return full;
    layers.push(full.value);
  }
  return ok({ ...spec, layers });
};
