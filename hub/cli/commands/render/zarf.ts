import { createReadStream } from 'node:fs';
import { profileSpecSchema } from '@groundplane/protocol/profile';
import { storeZarf } from '../../../src/zarf/read.ts';
import type { Context } from '../../io.ts';
import { printFindings } from '../../output/findings.ts';
import { trouble, usage, type Outcome } from '../../trouble.ts';
import { renderBundle } from './bundle.ts';
import { createWorkbench } from './engine.ts';
import { readPairs, readValues, setsIn, type RenderOptions } from './options.ts';

/** `gp render zarf-package-….tar.zst [--var X=y]…`: what the package's charts and manifests make. */
export const renderZarfTarget = async (context: Context, path: string, options: RenderOptions): Promise<Outcome> => {
  const variables = readPairs('--var', options.variables);
  if (!variables.ok) return variables.trouble;
  if (setsIn(options) > 0) return usage('gp render', 'a Zarf package takes variables and values files', 'gp render PACKAGE --var NAME=value -f values.yaml');
  const values = await readValues(context, options.values);
  if (!values.ok) return values.trouble;
  if (values.value.length > 1) return usage('gp render', 'a Zarf package takes one values file');
  const bench = createWorkbench();
  try {
    const stored = await storeZarf(() => createReadStream(path), bench.content, path);
    if (!stored.ok) return trouble(stored.failure.element, stored.failure.message);
    await printFindings(context, stored.value.findings);
    const { name, version } = stored.value.package;
    const layer = {
      name: 'package',
      kind: 'addon',
      ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
      zarf: {
        package: { digest: stored.value.digest, name, version: version === '' ? '0.0.0' : version },
        variables: variables.value,
        values: values.value[0] ?? '',
      },
    };
    const spec = profileSpecSchema.safeParse({ type: 'addon', layers: [layer] });
    if (!spec.success) return usage('gp render', spec.error.issues[0]?.message ?? 'cannot be rendered so');
    const target = { name: 'zarf', version: '1.0.0', spec: spec.data, variables: {}, macros: {}, cluster: options.name ?? 'example' };
    return await renderBundle(context, bench, target, options);
  } finally {
    await bench.close();
  }
};
