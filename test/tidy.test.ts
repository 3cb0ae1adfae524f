import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** The rules of ARCHITECTURE.md that no compiler knows, as a test. */
const root = join(import.meta.dirname, '..');
const packages = ['protocol', 'agent', 'hub', 'installer', 'test'] as const;
type Package = (typeof packages)[number];

const filesUnder = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    if (name === 'node_modules' || name === 'dist' || name.startsWith('.')) return [];
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesUnder(path) : /\.(ts|tsx)$/.test(name) ? [path] : [];
  });

const files = packages.flatMap((name) => filesUnder(join(root, name))).map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') }));
const productFiles = files.filter((file) => !file.path.startsWith('test/'));

const importsOf = (text: string): string[] =>
  [...text.matchAll(/(?:from|import\()\s*'([^']+)'/g), ...text.matchAll(/^import '([^']+)'/gm)].map((match) => match[1] ?? '');

/** Which packages may be imported from where. The dashboard and the command line sit inside the hub and see the protocol only. */
const allowed: Record<string, readonly string[]> = {
  protocol: [],
  agent: ['protocol'],
  'hub/dashboard': ['protocol'],
  'hub/cli': ['protocol'],
  hub: ['protocol'],
  // Agents of clusters without a machine live in the hub (ADR 0016).
  'hub/src/resident': ['protocol', 'agent'],
  installer: ['protocol'],
  test: packages.filter((name) => name !== 'test'),
};

const areaOf = (path: string): string =>
  ['hub/dashboard', 'hub/cli', 'hub/src/resident'].find((area) => path.startsWith(`${area}/`)) ?? path.split('/')[0] ?? '';

test('packages import only what the architecture allows', () => {
  const wrong = files.flatMap(({ path, text }) =>
    importsOf(text)
      .map((name) => /^@groundplane\/([a-z]+)/.exec(name)?.[1] as Package | undefined)
      .filter((name) => name !== undefined && !(allowed[areaOf(path)] ?? []).includes(name))
      .map((name) => `${path} imports @groundplane/${String(name)}`),
  );
  expect(wrong).toEqual([]);
});

test('relative imports stay inside their package', () => {
  const wrong = productFiles.flatMap(({ path, text }) =>
    importsOf(text)
      .filter((name) => name.startsWith('.'))
      .map((name) => relative(root, resolve(root, dirname(path), name)))
      .filter((target) => target.split('/')[0] !== path.split('/')[0])
      .map((target) => `${path} reaches into ${target}`),
  );
  expect(wrong).toEqual([]);
});

/** What gp does without a hub is done by the same code as in the hub (ADR 0012); everything else of the hub it reaches by the API. */
const engineFolders = ['archive', 'content', 'media', 'pack', 'port', 'registry', 'render', 'system', 'zarf'];

test('the command line uses of the hub only what works without one', () => {
  const wrong = productFiles
    .filter((file) => file.path.startsWith('hub/cli/') || file.path.startsWith('hub/dashboard/'))
    .flatMap(({ path, text }) =>
      importsOf(text)
        .filter((name) => name.startsWith('.'))
        .map((name) => relative(root, resolve(root, dirname(path), name)))
        .filter((target) => target.startsWith('hub/src/') && !(path.startsWith('hub/cli/') && engineFolders.includes(target.split('/')[2] ?? '')))
        .map((target) => `${path} reaches into ${target}`),
    );
  expect(wrong).toEqual([]);
});

test('the protocol runs in a browser: no node modules, no I/O', () => {
  const wrong = productFiles
    .filter((file) => file.path.startsWith('protocol/'))
    .flatMap(({ path, text }) =>
      importsOf(text)
        .filter((name) => name.startsWith('node:'))
        .map((name) => `${path} imports ${name}`),
    );
  expect(wrong).toEqual([]);
});

test('plans are pure: no await, no I/O, no clock', () => {
  const wrong = productFiles
    .filter((file) => /\/plan\//.test(file.path))
    .filter(({ text }) => /\bawait\b|\basync\b|'node:|Promise|performance\.|process\./.test(text))
    .map((file) => file.path);
  expect(wrong).toEqual([]);
});

/** Where time, chance and timers may come in. */
const doors = /\/(system|web\/pages)\/|installer\/src\/|hub\/dashboard\/|hub\/cli\/(clock|process-io)\.ts$|hub\/helm-engine\//;

test('time, chance and timers come in by their doors only', () => {
  const wrong = productFiles
    .filter((file) => !doors.test(file.path))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/\bDate\.now\(|\bMath\.random\(|(?<![.\w])setTimeout\(|(?<![.\w])setInterval\(|new Date\(\)/g)].map((match) => `${path}: ${match[0]}`),
    );
  expect(wrong).toEqual([]);
});

test('the agent has no Kubernetes library and loads mqtt only when it is the carrier', () => {
  const wrong = productFiles
    .filter((file) => file.path.startsWith('agent/'))
    .filter(({ path, text }) => text.includes('@kubernetes/client-node') || (/from 'mqtt'/.test(text) && path !== 'agent/src/link/mqtt-client.ts'))
    .map((file) => file.path);
  expect(wrong).toEqual([]);
});

test('packages are not imported lazily by their own name: in a bundle only their default export would come', () => {
  const wrong = productFiles
    .filter((file) => !file.path.startsWith('hub/dashboard/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/(\S+ = )?\(?await import\('((?!\.|node:|@groundplane)[^']+)'\)/g)].map((match) => `${path}: ${match[2] ?? ''}`),
    )
    .filter((item) => !item.endsWith(': semver') && !item.startsWith('installer/'));
  expect(wrong).toEqual([]);
});

test('no cloud SDK outside of its provider folder', () => {
  const wrong = productFiles
    .filter((file) => !file.path.startsWith('hub/src/providers/'))
    .flatMap(({ path, text }) =>
      importsOf(text)
        .filter((name) => /^(@aws-sdk|@azure|@google-cloud)\//.test(name))
        .map((name) => `${path} imports ${name}`),
    );
  expect(wrong).toEqual([]);
});

test('files say what they are for', () => {
  const vague = files
    .filter((file) => file.path.split('/').some((part) => /^(utils?|helpers?|commons?|lib|managers?|services?|misc)(\.tsx?)?$/.test(part)))
    .map((file) => file.path);
  expect(vague).toEqual([]);
});

test('files have at most 400 lines', () => {
  const long = files.filter((file) => file.text.split('\n').length > 401).map((file) => `${file.path}: ${file.text.split('\n').length}`);
  expect(long).toEqual([]);
});

/** Counts the lines of each function body by its braces; close enough, since the formatter places them. */
const longFunctions = (text: string, max: number): string[] => {
  const lines = text.split('\n');
  const found: string[] = [];
  lines.forEach((line, index) => {
    const head = /^(\s*)(?:export )?(?:const (\w+) = (?:async )?(?:\(|<|\w+ =>)|(?:async )?function\*? (\w+))/.exec(line);
    if (head === null || !/(=>|\)|>) \{\s*$|: .* \{\s*$/.test(line) || /=> \(\{\s*$/.test(line)) return;
    const indent = head[1] ?? '';
    const end = lines.findIndex((other, at) => at > index && (other === `${indent}};` || other === `${indent}}` || other === `${indent}});`));
    // What only wires closures together may be longer: its parts are functions of their own.
    const nested = lines.slice(index, end).filter((other) => new RegExp(`^${indent}  const \\w+ = (async )?(\\(|<)`).test(other)).length;
    if (end - index > max && nested < 3) found.push(`${head[2] ?? head[3] ?? ''} (${end - index} lines)`);
  });
  return found;
};

test('functions have at most 70 lines', () => {
  const long = productFiles
    .filter((file) => !file.path.startsWith('hub/dashboard/'))
    .flatMap(({ path, text }) => longFunctions(text, 70).map((name) => `${path}: ${name}`));
  expect(long).toEqual([]);
});

test('no any', () => {
  const wrong = files
    .flatMap(({ path, text }) => [...text.matchAll(/(?:\w\)?:|<|\bas|\|) any\b(?= *[;,)>=|[\]{])/g)].map(() => path))
    .filter((path) => path !== 'test/tidy.test.ts');
  expect(wrong).toEqual([]);
});
