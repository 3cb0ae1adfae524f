import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ExactImage, ImageChoice } from '../../port/provider.ts';
import { referenceFor } from '../image-choice.ts';
import { imageOf } from './machine-body.ts';
import { call, type Clients } from './session.ts';

/** `Standard_D2ps_v5`: a small p behind the number of CPUs is an Arm processor (Azure's naming of sizes). */
const armSize = /^Standard_[A-Z]+\d+(-\d+)?[a-z]*p[a-z]*(_|$)/;

const byNumbers = new Intl.Collator('en', { numeric: true });

/** `latest` of the marketplace means a version; everything else is exact already, or its owner's to move. */
export const resolveImage = async (cloud: Clients, location: string, size: string, choice: ImageChoice): Promise<Result<ExactImage>> => {
  const reference = referenceFor(choice, armSize.test(size) ? 'arm64' : 'amd64', size);
  if (!reference.ok) return reference;
  const image = imageOf(reference.value);
  if (!image.ok) return image;
  const { publisher, offer, sku, version } = image.value;
  if (publisher === undefined || offer === undefined || sku === undefined || version !== 'latest') return ok({ exact: reference.value });
  const element = `image ${reference.value}`;
  const versions = await call(element, () => cloud.compute.virtualMachineImages.list(location, publisher, offer, sku));
  if (!versions.ok) return versions;
  const newest = versions.value
    .map((item) => item.name)
    .toSorted(byNumbers.compare)
    .at(-1);
  if (newest === undefined) return fail('blocked', 'choice-missing', element, `${location} has no version of it`);
  return ok({ exact: `${publisher}:${offer}:${sku}:${newest}` });
};
