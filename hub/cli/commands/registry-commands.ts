import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RegistryView } from '@groundplane/protocol/api/registries';
import type { RegistryKind } from '@groundplane/protocol/registry-kinds';
import { copyArtifact, planSync, syncText, tagDigests } from '../../src/registry/sync.ts';
import { parseReference } from '../../src/registry/oci-reference.ts';
import { connect } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { localRegistry, type RegistryFlags } from '../local-registry.ts';
import { printList, printOne } from '../output/print.ts';
import { everyPage } from '../pages.ts';
import { apiTrouble, exits, trouble, usage, type Outcome } from '../trouble.ts';
import { badName } from './kinds.ts';
import { failureTrouble } from './pack-registry.ts';

interface AddOptions {
  kind?: RegistryKind;
  username?: string;
  passwordStdin?: boolean;
  mirror: string[];
  insecure?: boolean;
  ca?: string;
  tokenHost: string[];
  validate: boolean;
  tenant?: boolean;
}

/** For the whole tenant instead of the project. */
interface PlaceFlag {
  tenant?: boolean;
}

/** `gp registry add NAME URL`. The password comes by standard input or GP_REGISTRY_PASSWORD, since others see command lines. */
export const addRegistry = async (context: Context, name: string, url: string, options: AddOptions): Promise<Outcome> => {
  const bad = badName('registry', name);
  if (bad !== undefined) return bad;
  const kind = options.kind ?? (url.startsWith('oci://') ? 'oci' : 'helm');
  const ca = options.ca === undefined ? undefined : await readFile(resolve(context.io.cwd, options.ca), 'utf8').catch(() => null);
  if (ca === null) return usage(`file ${options.ca ?? ''}`, 'cannot be read');
  const piped =
    options.passwordStdin === true
      ? Buffer.from(await context.io.stdin.read(16_384))
          .toString('utf8')
          .replace(/\r?\n$/, '')
      : undefined;
  const password = piped ?? context.io.env['GP_REGISTRY_PASSWORD'];
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const query = { validate: options.validate ? ('true' as const) : ('false' as const) };
  const body = {
    kind,
    url,
    mirrors: options.mirror,
    insecure: options.insecure === true,
    tokenHosts: options.tokenHost,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
  };
  const answer =
    options.tenant === true
      ? await client.call('setTenantRegistry', { params: { name }, query, body })
      : await client.call('setRegistry', { params: { project, name }, query, body });
  if (!answer.ok) return apiTrouble(answer.failure);
  await printOne(context, answer.value, `registry/${name}`, () => `registry ${name} is ${answer.value.url}\n`);
  return exits.ok;
};

/** `gp registry list`. */
export const listRegistries = async (context: Context, options: PlaceFlag = {}): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const found = await everyPage((page) =>
    options.tenant === true ? client.call('listTenantRegistries', { query: page }) : client.call('listRegistries', { params: { project }, query: page }),
  );
  if (!found.ok) return apiTrouble(found.failure);
  await printList<RegistryView>(context, found.value, {
    name: (item) => `registry/${item.name}`,
    empty: 'no registries yet; add one: gp registry add NAME URL',
    columns: [
      { title: 'NAME', value: (item) => item.name },
      { title: 'OF', value: (item) => (item.project === '' ? 'tenant' : item.project) },
      { title: 'KIND', value: (item) => item.kind },
      { title: 'URL', value: (item) => item.url },
      { title: 'LOGIN', value: (item) => (item.username ?? '') + (item.hasPassword ? ' (password kept)' : '') || '-' },
      { title: 'MIRRORS', value: (item) => item.mirrors.join(' ') || '-', wide: true },
    ],
  });
  return exits.ok;
};

/** `gp registry delete NAME`. */
export const deleteRegistry = async (context: Context, name: string, options: PlaceFlag = {}): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer =
    options.tenant === true
      ? await client.call('deleteTenantRegistry', { params: { name } })
      : await client.call('deleteRegistry', { params: { project, name } });
  if (!answer.ok) return apiTrouble(answer.failure);
  await printOne(context, { kind: 'registry', name, result: 'deleted' }, `registry/${name}`, () => `registry ${name} deleted\n`);
  return exits.ok;
};

/** `gp registry validate NAME`. */
export const validateRegistry = async (context: Context, name: string, options: PlaceFlag = {}): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer =
    options.tenant === true
      ? await client.call('validateTenantRegistry', { params: { name } })
      : await client.call('validateRegistry', { params: { project, name } });
  if (!answer.ok) return apiTrouble(answer.failure);
  if (!answer.value.reachable) return trouble(`registry ${name}`, answer.value.message);
  await printOne(context, answer.value, `registry/${name}`, () => `registry ${name}: ${answer.value.message}\n`);
  return exits.ok;
};

/** `gp registry import NAME ARTIFACT`. */
export const importArtifact = async (context: Context, name: string, artifact: string, version: string | undefined): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('importArtifact', {
    params: { project: connection.value.project, name },
    body: { artifact, ...(version === undefined ? {} : { version }) },
  });
  if (!answer.ok) return apiTrouble(answer.failure);
  const { kind, digest } = answer.value;
  for (const warning of answer.value.warnings) await notice(context, `warning: ${warning}`);
  await printOne(context, answer.value, digest, () => `${kind} ${answer.value.name} ${answer.value.version}\n${digest}\n`);
  return exits.ok;
};

/** `gp registry sync FROM TO`: from this machine, between any two registries (the hub's own one too). Prints what it will do, then does it. */
export const syncRegistries = async (
  context: Context,
  fromText: string,
  toText: string,
  options: RegistryFlags & { tags?: string; newest?: number; overwrite?: boolean; dryRun?: boolean },
): Promise<Outcome> => {
  const [from, to] = [parseReference(fromText), parseReference(toText)];
  if (!from.ok) return failureTrouble(from.failure);
  if (!to.ok) return failureTrouble(to.failure);
  const source = await localRegistry(context, from.value.registry, options);
  if (!source.ok) return failureTrouble(source.failure);
  // Flags with credentials are for the source; the target logs in by gp login or Docker's config.
  const target = await localRegistry(context, to.value.registry, options.insecure === true ? { insecure: true } : {});
  if (!target.ok) return failureTrouble(target.failure);
  try {
    const only = from.value.tag === undefined ? () => true : (tag: string) => tag === from.value.tag;
    const there = await tagDigests(source.value.client, from.value, only);
    if (!there.ok) return failureTrouble(there.failure);
    const here = await tagDigests(target.value.client, to.value, (tag) => there.value.has(tag));
    if (!here.ok) return failureTrouble(here.failure);
    const rule = {
      from: from.value,
      to: to.value,
      ...(options.tags === undefined ? {} : { tags: options.tags }),
      ...(options.newest === undefined ? {} : { newest: options.newest }),
    };
    const plan = planSync(rule, { source: there.value, target: here.value }, { overwrite: options.overwrite === true });
    if (!plan.ok) return failureTrouble(plan.failure);
    let bytes = 0;
    for (const step of plan.value.steps) {
      await notice(context, syncText(step));
      if (options.dryRun === true) continue;
      const copied = await copyArtifact(source.value.client, target.value.client, step.from, step.to);
      if (!copied.ok) return failureTrouble(copied.failure);
      bytes += copied.value.bytes;
    }
    const result = {
      copied: options.dryRun === true ? 0 : plan.value.steps.length,
      planned: plan.value.steps.length,
      same: plan.value.same,
      taken: plan.value.taken.length,
      bytes,
    };
    await printOne(
      context,
      result,
      'sync',
      () => `${result.copied} copied, ${result.same} the same, ${result.taken} left because the target has other content\n`,
    );
    if (result.taken > 0) await notice(context, 'tags that have other content at the target were not touched; --overwrite moves them');
    return result.taken > 0 ? exits.partly : exits.ok;
  } finally {
    source.value.close();
    target.value.close();
  }
};
