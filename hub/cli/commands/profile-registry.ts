import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { apiBase } from '@groundplane/protocol/api/routes';
import { apiVersion, profileDocumentSchema } from '@groundplane/protocol/profile';
import { layoutStore } from '../../src/media/layout-store.ts';
import { parseReference } from '../../src/registry/oci-reference.ts';
import { profileBlobs, pullProfile, pushProfile } from '../../src/registry/units.ts';
import { registryLimits } from '../../src/registry/limits.ts';
import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { localRegistry, type RegistryFlags, printPushed } from '../local-registry.ts';
import { printOne, yamlText } from '../output/print.ts';
import { apiTrouble, exits, trouble, usage, type Outcome } from '../trouble.ts';
import { uploadBlob } from '../upload.ts';
import { parseProfileName } from './kinds.ts';
import { blobStream } from './media-commands.ts';
import { failureTrouble } from './pack-registry.ts';

/** Units go through files: a profile may name more than fits into memory. */
const inFolder = async (act: (folder: string) => Promise<Outcome>): Promise<Outcome> => {
  const folder = await mkdtemp(join(tmpdir(), 'gp-profile-'));
  try {
    return await act(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** `gp profile push NAME@VERSION REF`: from the hub to a registry, with every chart and pack that it names. */
export const profilePush = (context: Context, text: string, target: string, flags: RegistryFlags & { force?: boolean }): Promise<Outcome> =>
  inFolder(async (folder) => {
    const { name, version } = parseProfileName(text);
    if (version === '') return usage(`profile ${text}`, 'say which version', `gp profile push ${text}@VERSION ${target}`);
    const reference = parseReference(target);
    if (!reference.ok) return failureTrouble(reference.failure);
    const connection = await connect(context);
    if (!connection.ok) return connection.trouble;
    const { client, project } = connection.value;
    const profile = await client.call('getProfile', { params: { project, name, version } });
    if (!profile.ok) return apiTrouble(profile.failure);
    const { labels, spec, state } = profile.value;
    if (state === 'draft') return trouble(`profile ${text}`, 'is a draft, and a pushed version never changes', `gp release profile ${text}`);
    const store = layoutStore(folder);
    for (const digest of profileBlobs(spec)) {
      const info = await client.call('headContent', { params: { digest } });
      if (!info.ok) return apiTrouble(info.failure);
      const received = await store.receive(digest, blobStream(connection.value, `${apiBase}/content/${digest}`, info.value.size), registryLimits.blobBytes);
      if (!received.ok) return failureTrouble(received.failure);
    }
    const registry = await localRegistry(context, reference.value.registry, flags);
    if (!registry.ok) return failureTrouble(registry.failure);
    try {
      const document = await yamlText({ apiVersion, kind: 'Profile', metadata: { name, version, labels }, spec });
      const pushed = await pushProfile(registry.value.client, reference.value, document, store, { force: flags.force === true });
      if (!pushed.ok) return failureTrouble(pushed.failure);
      await printPushed(context, pushed.value);
      return exits.ok;
    } finally {
      registry.value.close();
    }
  });

/** `gp profile pull REF`: from a registry into the hub. */
export const profilePull = (context: Context, source: string, flags: RegistryFlags & { version?: string }): Promise<Outcome> =>
  inFolder(async (folder) => {
    const reference = parseReference(source);
    if (!reference.ok) return failureTrouble(reference.failure);
    const connection = await connect(context);
    if (!connection.ok) return connection.trouble;
    const { client, project } = connection.value;
    const registry = await localRegistry(context, reference.value.registry, flags);
    if (!registry.ok) return failureTrouble(registry.failure);
    try {
      const store = layoutStore(folder);
      const pulled = await pullProfile(registry.value.client, reference.value, store, flags.version);
      if (!pulled.ok) return failureTrouble(pulled.failure);
      const { metadata, spec } = profileDocumentSchema.parse(parseYaml(pulled.value.document));
      for (const digest of profileBlobs(spec)) {
        if ((await client.call('headContent', { params: { digest } })).ok) continue;
        const size = (await store.size(digest)) ?? 0;
        const put = await uploadBlob(context, connection.value, { digest, size, body: store.stream(digest, 0, Math.max(0, size - 1)), name: digest });
        if (!put.ok) return apiTrouble(put.failure);
      }
      const { name, version, labels } = metadata;
      const applied = await client.call('applyProfile', { params: { project, name, version }, body: { spec, ...(labels === undefined ? {} : { labels }) } });
      if (!applied.ok) return apiTrouble(applied.failure);
      await printOne(context, { name, version, digest: pulled.value.digest }, `profile/${name}@${version}`, () => `profile ${name}@${version} is in the hub\n`);
      return exits.ok;
    } finally {
      registry.value.close();
    }
  });
