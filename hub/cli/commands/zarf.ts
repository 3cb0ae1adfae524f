import { resolve } from 'node:path';
import { findingText } from '@groundplane/protocol/finding';
import type { ZarfComponent } from '@groundplane/protocol/zarf/package';
import { openPackageFile } from '../../src/zarf/open.ts';
import { inspectZarf, type ZarfInspection } from '../../src/zarf/read.ts';
import { readText } from '../authoring/read.ts';
import type { Context } from '../io.ts';
import { facts, printOne } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { exits, trouble, type Outcome } from '../trouble.ts';

const keyBytesMax = 64 * 1024;

const signatureTexts = { verified: 'verified with the given key', unsigned: 'not signed', unchecked: 'signed; give --key cosign.pub to check it' } as const;

const count = (number: number, thing: string): string => (number === 0 ? '' : `${number} ${thing}${number === 1 ? '' : 's'}`);

const componentText = (component: ZarfComponent): string => {
  const state = component.isRequired ? 'required' : component.isDefault ? 'default' : 'optional';
  const parts = [
    count(component.charts.length, 'chart'),
    count(component.manifests.length, 'manifest'),
    count(component.images.length, 'image'),
    count(component.files.length, 'file'),
    count(component.actions.length, 'action'),
  ].filter((part) => part !== '');
  const lines = [
    ...component.charts.map((chart) => `chart ${chart.name} ${chart.version} → ${chart.namespace}/${chart.releaseName}`),
    ...component.manifests.map((manifest) => `manifest ${manifest.name} → ${manifest.namespace}`),
    ...component.images.map((image) => `image ${image}`),
    ...component.files.map((file) => `file ${file.target}`),
    ...component.actions.map((action) => `on ${action.event}, ${action.when}: ${(action.cmd ?? 'wait').split('\n')[0] ?? ''}`),
  ];
  return `  ${component.name} (${state}${parts.length === 0 ? '' : `; ${parts.join(', ')}`})\n${lines.map((line) => `    ${line}\n`).join('')}`;
};

const human = ({ package: zarf, signature, files, findings }: ZarfInspection): string => {
  const bytes = [...files.values()].reduce((sum, file) => sum + file.size, 0);
  const head = facts([
    ['name', zarf.name],
    ['version', zarf.version],
    ['format', zarf.apiVersion],
    ['architecture', zarf.architecture],
    ['description', zarf.description],
    ['signature', signatureTexts[signature]],
    ['content', `${files.size} files, ${Math.ceil(bytes / 1024)} KiB, all as checksums.txt says`],
    [
      'variables',
      zarf.variables
        .map(
          (variable) =>
            `${variable.name}${variable.default === undefined ? '' : variable.isSensitive ? '=…' : `=${JSON.stringify(variable.default.slice(0, 40))}`}`,
        )
        .join(', '),
    ],
  ]);
  const said = findings.map((finding) => `${findingText(finding)}\n`).join('');
  const text = `${head}components:\n${zarf.components.map(componentText).join('')}${said}`;
  return text
    .split('\n')
    .map((line) => printable(line))
    .join('\n');
};

/** `gp zarf inspect FILE`: checks a package as a hub would, without one. Ends with 1 when it could not be used. */
export const inspect = async (context: Context, file: string, options: { key?: string }): Promise<Outcome> => {
  const key = options.key === undefined ? undefined : await readText(resolve(context.io.cwd, options.key), keyBytesMax);
  if (key !== undefined && !key.ok) return key.trouble;
  const open = await openPackageFile(resolve(context.io.cwd, file));
  if (!open.ok)
    return trouble(file, open.failure.message, open.failure.code === 'zarf-unreadable' ? 'name a zarf-package-*.tar.zst, .tar or .part000 file' : undefined);
  const inspected = await inspectZarf(open.value, file, key?.value);
  if (!inspected.ok) return trouble(inspected.failure.element, inspected.failure.message);
  const { package: zarf, signature, files, findings } = inspected.value;
  const data = {
    package: { ...zarf, variables: zarf.variables.map((variable) => (variable.isSensitive ? { ...variable, default: undefined } : variable)) },
    signature,
    files: Object.fromEntries(files),
    findings,
  };
  await printOne(context, data, `zarf/${zarf.name}`, () => human(inspected.value));
  return findings.some((finding) => finding.severity === 'error') ? exits.error : exits.ok;
};
