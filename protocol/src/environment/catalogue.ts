import { z } from 'zod';
import { limits } from '../limits.ts';
import { environmentNames } from './environments.ts';

/** As an environment names an image: `projects/…/family/debian-13`, `Debian:debian-13:13-gen2:latest`, `debian-13*` at a site. */
const reference = z.string().min(1).max(512);

/** One for every processor, or one for each. */
export const imageReferenceSchema = z.union([reference, z.strictObject({ amd64: reference.optional(), arm64: reference.optional() })]);
export type ImageReference = z.infer<typeof imageReferenceSchema>;

export const imageNameSchema = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'must be small letters, digits, dots and dashes, like ubuntu-24.04');

const day = z.iso.date({ error: 'must be a day, like 2026-12-02' });
const minor = z.string().regex(/^1\.\d{1,3}$/, 'must be a minor version of Kubernetes, like 1.34');

const entry = z.strictObject({
  title: z.string().max(128),
  /** Of the operating system, by its maker. */
  endOfSupport: day.optional(),
  /** By environment, then region; `*` is any. */
  environments: z.partialRecord(z.enum(environmentNames), z.record(z.string().max(64), imageReferenceSchema)),
});

/**
 * What there is to run on: operating system images by names that hold in every environment, and until when versions of Kubernetes get standard support. A tenant
 * replaces the whole of it (`gp cloud catalogue FILE`).
 */
export const catalogueSchema = z.strictObject({
  source: z.string().max(256),
  images: z
    .record(imageNameSchema, entry)
    .refine((images) => Object.keys(images).length <= limits.catalogueEntries, `has more than ${limits.catalogueEntries} images`),
  /** `upstream` is the Kubernetes project's own support, and what counts for clusters of machines. What an environment tells itself comes before. */
  kubernetes: z.partialRecord(z.enum([...environmentNames, 'upstream']), z.record(minor, day)),
});
export type Catalogue = z.infer<typeof catalogueSchema>;
