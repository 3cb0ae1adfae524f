import type { BundleLayer } from '@groundplane/protocol/bundle';
import type { Digest } from '@groundplane/protocol/digest';
import type { Layer } from '@groundplane/protocol/layer';
import type { ContentStore } from '../port/content.ts';

const textBlob = async (content: ContentStore, text: string, secret: boolean): Promise<{ digest: Digest; size: number }> => ({
  digest: await content.put(text, { secret }),
  size: Buffer.byteLength(text),
});

/** An OS layer in its bundle form: every file and unit by digest. */
export const renderOs = async (content: ContentStore, layer: Layer, secret: boolean): Promise<Pick<BundleLayer, 'os'>> => {
  const os = layer.os;
  if (os === undefined) return {};
  const files = [];
  for (const file of os.files)
    files.push({
      path: file.path,
      ...(await textBlob(content, file.content, secret)),
      mode: file.mode.padStart(4, '0'),
      owner: file.owner,
      group: file.group,
    });
  const units = [];
  for (const unit of os.units) {
    const dropIns = [];
    for (const dropIn of unit.dropIns) dropIns.push({ name: dropIn.name, ...(await textBlob(content, dropIn.content, secret)) });
    units.push({
      name: unit.name,
      ...(unit.content === undefined ? {} : { file: await textBlob(content, unit.content, secret) }),
      enabled: unit.enabled,
      active: unit.active,
      dropIns,
    });
  }
  const sysctls = Object.fromEntries(
    Object.entries(os.sysctls).map(([key, value]) => [key.replaceAll('/', '.'), String(value).trim().replaceAll(/\s+/g, ' ')]),
  );
  return { os: { files, sysctls, units } };
};
