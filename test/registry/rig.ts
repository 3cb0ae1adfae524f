import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { createEgress, type Egress, type EgressPolicy } from '@groundplane/hub/registry/egress';
import { endpointsOf, type RegistrySettings } from '@groundplane/hub/registry/endpoints';
import { createOciClient, sha256Of, type OciClient } from '@groundplane/hub/registry/oci-client';
import { emptyConfig, emptyDescriptor, manifestBytes, mediaTypes, type Descriptor } from '@groundplane/hub/registry/oci-manifest';
import { parseReference, type Reference } from '@groundplane/hub/registry/oci-reference';
import type { Clock } from '@groundplane/hub/port/clock';
import type { BlobSource } from '@groundplane/hub/registry/oci-push';
import { value } from '../hub/world.ts';

/** Real time, except that waiting takes none: what was asked for is written down. */
export const hurriedClock = (): Clock & { waits: number[] } => {
  const waits: number[] = [];
  return {
    waits,
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    after: (delayMs, callback) => {
      waits.push(delayMs);
      const timer = setImmediate(callback);
      return () => clearImmediate(timer);
    },
  };
};

export interface Rig {
  client: OciClient;
  egress: Egress;
  clock: ReturnType<typeof hurriedClock>;
  close(): void;
}

export const clientFor = (
  settings: Record<string, RegistrySettings> = {},
  policy: EgressPolicy = { private: ['127.0.0.0/8', '::1/128'] },
  more: { waitMaxMs?: number } = {},
): Rig => {
  const egress = createEgress(policy, { idleTimeoutMs: 5_000 });
  const clock = hurriedClock();
  const client = createOciClient({
    egress,
    clock,
    tagsPerPage: 5,
    ...more,
    endpoints: (registry) => Promise.resolve(endpointsOf(registry, settings[registry] ?? {}, undefined)),
  });
  return { client, egress, clock, close: () => egress.close() };
};

export const ref = (text: string): Reference => value(parseReference(text));

export const blobOf = (bytes: Buffer, mountFrom?: string): BlobSource => ({
  digest: sha256Of(bytes),
  size: bytes.length,
  open: (start, end) => Readable.from([bytes.subarray(start, end + 1)]),
  ...(mountFrom === undefined ? {} : { mountFrom }),
});

export const noise = (size: number): Buffer => randomBytes(size);
/** The same bytes at each run. */
export const pattern = (size: number, seed = 'pattern'): Buffer => {
  const block = createHash('sha512').update(seed).digest();
  return Buffer.alloc(size, block);
};

export const descriptorOf = (bytes: Buffer, mediaType = 'application/octet-stream'): Descriptor => ({ mediaType, digest: sha256Of(bytes), size: bytes.length });

/** Pushes an artifact of these layers and answers the bytes of its manifest. */
export const pushArtifact = async (
  client: OciClient,
  reference: string,
  layers: readonly Buffer[],
  artifactType = 'application/vnd.example.test',
): Promise<Buffer> => {
  const target = ref(reference);
  for (const bytes of [emptyConfig, ...layers]) value(await client.pushBlob(target, blobOf(bytes)));
  const bytes = manifestBytes({ artifactType, config: emptyDescriptor, layers: layers.map((layer) => descriptorOf(layer)) });
  value(await client.pushManifest(target, bytes, mediaTypes.manifest));
  return bytes;
};
