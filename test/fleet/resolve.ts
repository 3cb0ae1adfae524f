import { memoryContent } from '@groundplane/hub/content/memory';
import { createBundler, type BundleInput } from '@groundplane/hub/render/bundle';
import { fail } from '@groundplane/protocol/failure';
import { digestOf } from '@groundplane/protocol/digest';
import { profileSpecSchema } from '@groundplane/protocol/profile';

const clusters = 10_000;
const layers = 20;
/** Different sets of values among all clusters: sites of one kind are alike. */
const kinds = 50;
const runs = 5;

/** Twenty layers with references of every sort; manifests, since charts have a benchmark of their own and are rendered once for equal inputs. */
const spec = profileSpecSchema.parse({
  type: 'addon',
  variables: [
    { name: 'size', default: 's' },
    { name: 'zone', required: true },
  ],
  layers: Array.from({ length: layers }, (_, index) => ({
    name: `layer-${index}`,
    kind: 'addon',
    priority: index % 5,
    manifests: [
      {
        name: 'all',
        content: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c${index}}\ndata:\n  zone: "{{ .spectro.var.zone }}"\n  size: {{ .spectro.var.size | quote }}\n  domain: "{{ .spectro.macro.domain | lower }}"\n  text: |\n${'    some text of a usual length\n'.repeat(30)}`,
      },
    ],
  })),
});
const digest = digestOf(spec);

const inputOf = (index: number): BundleInput => ({
  cluster: `clu_${index}`,
  profiles: [{ name: 'store', version: '1.0.0', spec, digest }],
  variables: { zone: `zone-${index % kinds}`, size: index % 2 === 0 ? 's' : 'l' },
  macros: { domain: { value: 'Example.org', scope: 'project' }, unused: { value: String(index), scope: 'tenant' } },
  system: { 'cluster.name': `cluster-${index}` },
  kubeVersion: 'v1.34.0',
});

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** CPU of making the bundles of 10,000 clusters, the first time (every kind rendered once) and again (nothing changed). */
export const resolve = async (): Promise<Record<string, number>> => {
  const first: number[] = [];
  const again: number[] = [];
  const bundles = new Set<string>();
  for (let run = 0; run < runs; run += 1) {
    const bundler = createBundler(
      {
        content: memoryContent(),
        helm: { render: () => Promise.resolve(fail('fatal', 'no-helm', 'chart', 'there are no charts here')), close: () => Promise.resolve() },
        seed: () => '',
      },
      'bench',
    );
    for (const [pass, into] of [
      ['first', first],
      ['again', again],
    ] as const) {
      const before = process.cpuUsage();
      for (let index = 0; index < clusters; index += 1) {
        const made = await bundler.make(inputOf(index));
        if (!made.ok) throw new Error(made.failure.message);
        if (pass === 'first') bundles.add(made.value.digest);
      }
      const used = process.cpuUsage(before);
      into.push((used.user + used.system) / clusters);
    }
  }
  return {
    clusters,
    layers,
    differentBundles: bundles.size,
    runs,
    cpuMicrosPerClusterFirst: Math.round(median(first)),
    cpuMicrosPerClusterAgain: Math.round(median(again)),
  };
};
