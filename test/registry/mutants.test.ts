import { expect, test } from 'vitest';
import { childrenOf, choosePlatform, emptyDescriptor, manifestBytes, mediaTypes, parseManifest } from '@groundplane/hub/registry/oci-manifest';
import { parseIndex } from '@groundplane/hub/registry/helm-repository';
import { parseChallenges } from '@groundplane/hub/registry/oci-auth';
import { parseDockerConfig } from '@groundplane/hub/registry/docker-config';
import { nextLink } from '@groundplane/hub/registry/oci-client';
import { isDigest } from '@groundplane/protocol/digest';
import { descriptorOf, pattern } from './rig.ts';

const dice = (seed: number): ((max: number) => number) => {
  let state = seed >>> 0;
  return (max) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return state % max;
  };
};
/** What goes wrong with a text on its way, or is put into it on purpose. */
const spice = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  'null',
  '-1',
  '1e999',
  '9007199254740993',
  '"sha256:',
  '../',
  '\u0000',
  '\\u0000',
  '&a',
  '*a',
  '__proto__',
  'mediaType',
  '"size":-5',
  '{{',
  '!!js/function',
  '\n',
];
const mutate = (text: string, seed: number): string => {
  const roll = dice(seed);
  let made = text;
  for (let turn = 0; turn <= roll(3); turn += 1) {
    const at = roll(Math.max(1, made.length));
    const kind = roll(5);
    if (kind === 0) made = made.slice(0, at) + (spice[roll(spice.length)] ?? '') + made.slice(at);
    else if (kind === 1) made = made.slice(0, at) + made.slice(at + 1 + roll(20));
    else if (kind === 2) made = made.slice(0, at);
    else if (kind === 3) made = made.slice(0, at) + String.fromCharCode(roll(256)) + made.slice(at + 1);
    else made = made.slice(0, at) + made.slice(Math.max(0, at - roll(50)), at) + made.slice(at);
  }
  return made;
};

const layers = [descriptorOf(pattern(10, 'a')), descriptorOf(pattern(20, 'b'))];
const manifest = manifestBytes({ artifactType: 'application/vnd.example', config: emptyDescriptor, layers, annotations: { a: 'b' } }).toString('utf8');
const index = JSON.stringify({
  schemaVersion: 2,
  mediaType: mediaTypes.index,
  manifests: layers.map((item, at) => ({
    ...item,
    mediaType: mediaTypes.manifest,
    platform: { os: 'linux', architecture: at === 0 ? 'amd64' : 'arm64', variant: 'v8' },
  })),
});

test('6,000 mutants of manifests, indexes, Helm indexes, logins and headers: a value or a failure, never an exception, never a bad digest or size', () => {
  const counts = { taken: 0, refused: 0 };
  for (let seed = 1; seed <= 1_500; seed += 1) {
    for (const text of [mutate(manifest, seed), mutate(index, seed)]) {
      const parsed = parseManifest(Buffer.from(text), seed % 2 === 0 ? undefined : mediaTypes.manifest, 'mutant');
      counts[parsed.ok ? 'taken' : 'refused'] += 1;
      if (!parsed.ok) {
        expect(parsed.failure.message.length).toBeGreaterThan(0);
        continue;
      }
      for (const child of childrenOf(parsed.value)) {
        expect([seed, isDigest(child.digest), Number.isSafeInteger(child.size) && child.size >= 0]).toEqual([seed, true, true]);
      }
      if (parsed.value.kind === 'index') choosePlatform(parsed.value.index, { os: 'linux', architecture: 'arm64' }, 'mutant');
    }
    parseIndex(
      Buffer.from(
        mutate('apiVersion: v1\nentries:\n  web:\n  - {name: web, version: 1.2.0, urls: ["web.tgz"], digest: abc}\n  - name: web\n    version: "2"\n', seed),
      ),
      'mutant',
    );
    parseDockerConfig(mutate('{"auths":{"a.example":{"auth":"YTpi"}},"credHelpers":{"b.example":"x"}}', seed), 'mutant');
    parseChallenges(mutate('Bearer realm="https://a.example/t",service="s",scope="repository:x:pull,push", Basic realm=x', seed));
    nextLink(mutate('</v2/x/tags/list?n=1&last=a>; rel="next", </v2/y>; rel="prev"', seed));
  }
  expect(counts.taken).toBeGreaterThan(50);
  expect(counts.refused).toBeGreaterThan(1_000);
});
