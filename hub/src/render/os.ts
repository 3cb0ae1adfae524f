import { agentArchs } from '@groundplane/protocol/agent-package';
import type { BundleBlob, BundleLayer } from '@groundplane/protocol/bundle';
import type { Digest } from '@groundplane/protocol/digest';
import type { Layer } from '@groundplane/protocol/layer';
import { osImageFiles } from '@groundplane/protocol/os-image';
import type { OsSpec } from '@groundplane/protocol/os-spec';
import type { ContentStore } from '../port/content.ts';

const textBlob = async (content: ContentStore, text: string, secret: boolean): Promise<{ digest: Digest; size: number }> => ({
  digest: await content.put(text, { secret }),
  size: Buffer.byteLength(text),
});

interface MadeFile {
  path: string;
  content: string;
  mode: string;
  owner: string;
}

/** Files that follow from other fields: modules for the next boot, keys of accounts. */
const madeFiles = (layer: string, os: OsSpec): MadeFile[] => [
  ...((os.modules ?? []).length === 0
    ? []
    : [{ path: `/etc/modules-load.d/groundplane-${layer}.conf`, content: `${(os.modules ?? []).join('\n')}\n`, mode: '0644', owner: 'root' }]),
  ...(os.users ?? [])
    .filter((user) => user.sshKeys.length > 0)
    .map((user) => ({
      path: `${user.name === 'root' ? '/root' : `/home/${user.name}`}/.ssh/authorized_keys`,
      content: `${user.sshKeys.join('\n')}\n`,
      mode: '0600',
      owner: user.name,
    })),
];

/** Images and extensions come as files, each only to hosts of its architecture. */
const largeOf = (os: OsSpec): BundleBlob[] => [
  ...(os.mode === 'image' ? os.image.flatMap(({ signed }) => osImageFiles(signed).map((file) => ({ ...file, architecture: signed.architecture }))) : []),
  ...(os.mode === 'image' || os.agent === undefined ? [] : agentBlobs(os.agent)),
  ...(os.extensions ?? []).flatMap(({ name, images }) => images.map((image) => ({ name: `extension ${name}`, ...image }))),
];

/** An OS layer in its bundle form: every file and unit by digest. */
export const renderOs = async (content: ContentStore, layer: Layer, secret: boolean): Promise<Pick<BundleLayer, 'os' | 'blobs'>> => {
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
  for (const made of madeFiles(layer.name, os))
    files.push({ path: made.path, ...(await textBlob(content, made.content, secret)), mode: made.mode, owner: made.owner, group: made.owner });
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
  const blobs = largeOf(os);
  return {
    ...(blobs.length === 0 ? {} : { blobs }),
    os: {
      files,
      sysctls,
      units,
      ...(os.mode === 'image' || os.packages === undefined ? {} : { packages: os.packages }),
      ...(os.modules === undefined ? {} : { modules: os.modules }),
      ...(os.mode === 'image' || os.agent === undefined ? {} : { agent: os.agent }),
      ...(os.users === undefined ? {} : { users: os.users.map(({ name, groups, shell }) => ({ name, groups, shell })) }),
      ...(os.mode === 'image' ? { image: os.image } : {}),
      ...(os.extensions === undefined ? {} : { extensions: os.extensions }),
      ...(os.reboot === undefined ? {} : { reboot: os.reboot }),
    },
  };
};

const agentBlobs = (agent: NonNullable<(OsSpec & { mode: 'package' })['agent']>): BundleBlob[] =>
  agentArchs.flatMap((architecture) => {
    const item = agent.packages[architecture];
    return item === undefined ? [] : [{ ...item, name: 'groundplane-agent.tar.zst', architecture }];
  });
