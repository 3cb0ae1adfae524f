import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ExactImage, ImageChoice } from '../../port/provider.ts';
import { referenceFor } from '../image-choice.ts';
import type { Session } from './session.ts';

/** Series with Arm processors (Google's page on Arm machines): Tau T2A, Axion C4A and N4A, and those with Grace beside their GPUs. */
const armSeries = /^(t2a|c4a|n4a|a4x)-/;

const imageSchema = z.looseObject({ name: z.string() });
const familyPath = /^\/?(projects\/[^/]+\/global\/images)\/family\/[^/]+$/;

/** A family means its newest image; the path of an image is one already. */
export const resolveImage = async (session: Session, size: string, choice: ImageChoice): Promise<Result<ExactImage>> => {
  const reference = referenceFor(choice, armSeries.test(size) ? 'arm64' : 'amd64', size);
  if (!reference.ok) return reference;
  const images = familyPath.exec(reference.value)?.[1];
  if (images === undefined) return ok({ exact: reference.value });
  const found = await session.find('compute', `/${reference.value.replace(/^\//, '')}`, imageSchema);
  if (!found.ok) return found;
  if (found.value === undefined) return fail('blocked', 'choice-missing', `image ${choice.name}`, `there is no family ${reference.value}, or nothing in it`);
  return ok({ exact: `${images}/${found.value.name}`, title: found.value.name });
};
