import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packChart } from '../../hub/cli/authoring/chart.ts';
import { readArchive } from '../../hub/src/archive/read.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { findHelmBinary, helmVersion } from '../oracle/helm-binary.ts';

const run = promisify(execFile);
const oracle = await findHelmBinary();
const missing = 'missing' in oracle && !isRequired('go') ? oracle.missing : '';
const example = join(import.meta.dirname, '../../examples/retail-store/charts/shop');

/** Everything in an archive, by name. */
const contents = async (bytes: Uint8Array): Promise<Record<string, string>> => {
  const read = await readArchive(bytes, { bytesMax: 2 ** 26, entriesMax: 10_000, fileBytesMax: 2 ** 26 }, 'archive');
  if (!read.ok) throw new Error(read.failure.message);
  return Object.fromEntries(read.value.map((file) => [file.name, file.data.toString('base64')]));
};

describe.skipIf(missing !== '')(`a packed folder holds what helm package ${helmVersion()} packs${missing === '' ? '' : ` (skipped: ${missing})`}`, () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gp-helm-package-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const compare = async (chart: string): Promise<string[]> => {
    const out = await mkdtemp(join(folder, 'out-'));
    await run('path' in oracle ? oracle.path : '', ['package', chart, '-d', out], { env: { HOME: folder, PATH: process.env.PATH ?? '' } });
    const theirs = await contents(await readFile(join(out, (await readdir(out))[0] ?? '')));
    const packed = await packChart(chart);
    if (!packed.ok) throw new Error(packed.failure.message);
    const ours = await contents(packed.value.bytes);
    expect(Object.keys(ours).toSorted()).toEqual(Object.keys(theirs).toSorted());
    // Helm writes Chart.yaml anew; everything else is byte for byte the same.
    for (const name of Object.keys(ours)) if (!name.endsWith('Chart.yaml')) expect(ours[name], name).toBe(theirs[name]);
    return Object.keys(ours);
  };

  test('the chart of the example', async () => {
    expect((await compare(example)).length).toBeGreaterThan(10);
  });

  const files = [
    'a.bak',
    'docs/x',
    'deep/docs/y',
    'secret/key',
    'deep/secret/key',
    'b/c/d.txt',
    'b/d.txt',
    'templates/.hidden',
    'templates/_x.tpl',
    'templates/test-1.yaml',
    'README.md',
    '[x].txt',
    '.dot/file',
    'crds/a.yaml',
  ];
  const rules = [
    '*.bak\n/docs\n',
    'secret/\n',
    'b/*\n',
    'b/*.txt\n# comment\n\ntemplates/test-?.yaml',
    String.raw`\[x\].txt`,
    '[a-z]*',
    '[^R]*.md\n.dot/\n',
    'docs\n',
    '!*.yaml\n',
    '!Chart.yaml\n*.bak\n',
  ];
  test.each(rules)('with .helmignore %j', async (text) => {
    const root = await mkdtemp(join(folder, 'chart-'));
    await cp(join(example, 'charts/cache'), root, { recursive: true });
    for (const file of files) {
      await mkdir(join(root, file, '..'), { recursive: true });
      await writeFile(join(root, file), file.endsWith('.yaml') ? 'a: 1\n' : file);
    }
    await writeFile(join(root, '.helmignore'), `${text}\n`);
    await compare(root).catch((error: unknown) => {
      // Rules that take Chart.yaml away make Helm refuse; then we refuse too.
      if (!String(error).includes('Chart.yaml file is missing') && !String(error).includes('has no Chart.yaml')) throw error;
    });
  });
});
