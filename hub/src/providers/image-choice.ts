import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { newestNamed } from '../plan/catalogue.ts';
import type { ExactImage, ImageChoice } from '../port/provider.ts';

/** `choice-missing` (blocked) where the catalogue has none for this processor. */
export const referenceFor = (choice: ImageChoice, architecture: 'amd64' | 'arm64', size: string): Result<string> => {
  const reference = choice[architecture];
  if (reference !== undefined) return ok(reference);
  return fail('blocked', 'choice-missing', `image ${choice.name}`, `the catalogue names none for ${architecture}, which ${size} needs: gp cloud catalogue`);
};

export interface SiteImage {
  name: string;
  /** What the provider takes for exactly this one. */
  exact: string;
  madeAt?: string | undefined;
}

/** Among the images of a data centre, where sizes say nothing of the processor. */
export const siteImage = (images: readonly SiteImage[], choice: ImageChoice, where: string): Result<ExactImage> => {
  const pattern = choice.amd64 ?? choice.arm64 ?? choice.name;
  const newest = newestNamed(images, pattern);
  if (newest !== undefined) return ok({ exact: newest.exact, title: newest.name });
  const some = images.slice(0, 20).map((image) => image.name);
  return fail('blocked', 'choice-missing', `image ${choice.name}`, `${where} has none whose name is ${pattern}; there are: ${some.join(', ') || 'none'}. Upload one, or name yours in the catalogue (gp cloud catalogue)`); // prettier-ignore
};
