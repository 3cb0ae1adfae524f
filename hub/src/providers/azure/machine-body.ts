import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { ImageReference, VirtualMachine } from '@azure/arm-compute';
import type { NetworkInterface } from '@azure/arm-network';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { MachineWant } from '../../port/provider.ts';
import type { Random } from '../../port/random.ts';
import { machineName, tagName, tagsOf, type VmScope } from './names.ts';
import { firewallId, subnetOf, type Cloud } from './network.ts';

const defaultImage = 'Canonical:ubuntu-24_04-lts:server:latest';

/** `publisher:offer:sku:version` of the marketplace, or the id of an image or a gallery's version. */
export const imageOf = (text: string = defaultImage): Result<ImageReference> => {
  if (/^\/(CommunityGalleries|communityGalleries)\//.test(text)) return ok({ communityGalleryImageId: text });
  if (/^\/sharedGalleries\//i.test(text)) return ok({ sharedGalleryImageId: text });
  if (/^\/subscriptions\//i.test(text)) return ok({ id: text });
  const [publisher, offer, sku, version, ...more] = text.split(':');
  if ([publisher, offer, sku, version].some((part) => part === undefined || part === '') || more.length > 0)
    return fail('fatal', 'cloud-refused', `image ${text}`, `is neither publisher:offer:sku:version, like ${defaultImage}, nor the id of an image`);
  return ok({ publisher: publisher ?? '', offer: offer ?? '', sku: sku ?? '', version: version ?? '' });
};

const lengthAndBytes = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

/** Header of a PKCS #8 Ed25519 key (RFC 8410, section 7), before its 32 bytes. */
const pkcs8Header = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Azure makes no Linux machine without a key or a password. This key's private half is forgotten here, so nobody has one. */
export const keyOfNobody = (random: Random): string => {
  const secret = createPrivateKey({ key: Buffer.concat([pkcs8Header, random.bytes(32)]), format: 'der', type: 'pkcs8' });
  const point = Buffer.from(createPublicKey(secret).export({ format: 'jwk' }).x ?? '', 'base64url');
  return `ssh-ed25519 ${Buffer.concat([lengthAndBytes(Buffer.from('ssh-ed25519')), lengthAndBytes(point)]).toString('base64')} nobody`;
};

const adminUser = 'groundplane';

export const cardBody = (cloud: Cloud, scope: VmScope, want: MachineWant): NetworkInterface => {
  const address = want.place?.address?.split('/')[0];
  const placed = address === undefined ? { privateIPAllocationMethod: 'Dynamic' } : { privateIPAllocationMethod: 'Static', privateIPAddress: address };
  return {
    location: scope.placement.location,
    tags: tagsOf(scope, { [tagName('name')]: want.name }),
    networkSecurityGroup: { id: firewallId(cloud, scope) },
    // Pods' packets keep their own addresses.
    enableIPForwarding: true,
    ipConfigurations: [{ name: 'primary', primary: true, subnet: { id: subnetOf(cloud, scope).subnet }, ...placed }],
  };
};

interface Parts {
  image: ImageReference;
  /** Ids. */
  card: string;
  set: string | undefined;
}

/** Its disk and its card go with it. */
export const machineBody = (scope: VmScope, want: MachineWant, { image, card, set }: Parts, random: Random): VirtualMachine => {
  const name = machineName(scope, want.name);
  const keys = scope.placement.sshKeys.length > 0 ? scope.placement.sshKeys : [keyOfNobody(random)];
  const tags = tagsOf(scope, { [tagName('name')]: want.name, [tagName('pool')]: want.pool, [tagName('generation')]: want.generation });
  return {
    location: scope.placement.location,
    tags,
    ...(want.zone === undefined ? {} : { zones: [want.zone] }),
    ...(set === undefined ? {} : { virtualMachineScaleSet: { id: set } }),
    hardwareProfile: { vmSize: want.size },
    storageProfile: {
      imageReference: image,
      osDisk: {
        name: `${name}-os`,
        createOption: 'FromImage',
        deleteOption: 'Delete',
        managedDisk: {},
        ...(want.diskGiB === undefined ? {} : { diskSizeGB: want.diskGiB }),
      },
    },
    osProfile: {
      computerName: want.name,
      adminUsername: adminUser,
      customData: Buffer.from(want.userData).toString('base64'),
      linuxConfiguration: {
        disablePasswordAuthentication: true,
        ssh: { publicKeys: keys.map((keyData) => ({ path: `/home/${adminUser}/.ssh/authorized_keys`, keyData })) },
      },
    },
    networkProfile: { networkInterfaces: [{ id: card, primary: true, deleteOption: 'Delete' }] },
    ...(want.spot ? { priority: 'Spot', evictionPolicy: 'Delete', billingProfile: { maxPrice: -1 } } : {}),
  };
};
