import type { Digest } from '@groundplane/protocol/digest';
import type { Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { apiTrouble, done, trouble, type Attempt } from '../trouble.ts';
import type { ProfileDocument } from './document.ts';
import type { RegistryRequest } from './registry-source.ts';

type Layer = ProfileDocument['value']['spec']['layers'][number];

const pin = (layer: Layer, request: RegistryRequest, found: { name: string; version: string; digest: Digest }): Layer => {
  if (request.source === 'helm' && layer.helm !== undefined) return { ...layer, helm: { ...layer.helm, chart: { ...layer.helm.chart, ...found } } };
  if (request.source === 'zarf' && layer.zarf !== undefined) return { ...layer, zarf: { ...layer.zarf, package: { ...layer.zarf.package, ...found } } };
  return layer.pack === undefined ? layer : { ...layer, pack: { ...layer.pack, ...found } };
};

/** Lets the hub take what a profile's layers name in registries, and pins the digests in the document. */
export const importSources = async (context: Context, connection: Connection, document: ProfileDocument): Promise<Attempt<ProfileDocument>> => {
  const layers = [...document.value.spec.layers];
  for (const request of document.imports) {
    const layer = layers[request.layer];
    if (layer === undefined) continue;
    const { registry: name, artifact, version, digest } = request;
    const answer = await connection.client.call('importArtifact', {
      params: { project: document.project, name },
      body: { artifact, ...(version === undefined ? {} : { version }), ...(digest === undefined ? {} : { digest: digest as Digest }) },
    });
    if (!answer.ok) return { ok: false, trouble: apiTrouble({ ...answer.failure, element: `layer ${layer.name}, ${answer.failure.element}` }) };
    const found = { name: answer.value.name, version: answer.value.version, digest: answer.value.digest as Digest };
    if (digest === undefined)
      await notice(context, `layer ${layer.name}: ${answer.value.kind} ${found.name} ${found.version} of registry ${name} is ${found.digest}`);
    layers[request.layer] = pin(layer, request, found);
  }
  return done({ ...document, imports: [], value: { ...document.value, spec: { ...document.value.spec, layers } } });
};

/** Without a hub nobody knows what a registry's name means. */
export const refuseImports = (document: ProfileDocument): Attempt<void> => {
  const [first] = document.imports;
  if (first === undefined) return done(undefined);
  const layer = document.value.spec.layers[first.layer]?.name ?? '';
  return {
    ok: false,
    trouble: trouble(
      `layer ${layer}`,
      `takes ${first.artifact} from registry ${first.registry}, which only a hub knows`,
      'fetch it to a folder and write path instead of registry, or use gp diff -f with a hub',
    ),
  };
};
