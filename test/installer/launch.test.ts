import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lacking, scriptsFolder, standInFiles } from './packages.ts';

const why = lacking([]);
const script = join(scriptsFolder, 'launch.sh');

const noCheck = lacking(['shellcheck']);
test.skipIf(noCheck !== '')(`shellcheck finds nothing in the scripts${noCheck}`, () => {
  const checked = spawnSync('shellcheck', [script, join(scriptsFolder, 'install.sh')], { encoding: 'utf8' });
  expect(checked.stdout).toBe('');
  expect(checked.status).toBe(0);
});

describe.skipIf(why !== '')(`which slot starts${why}`, () => {
  /** Current, usable, previous, healthy, started, count → decision. */
  const table: [string, string, string, string, string, string, string, string][] = [
    ['the very first start', 'b', 'yes', '-', '-', '-', '-', 'start 1'],
    ['a new version', 'b', 'yes', 'a', 'a', 'a', '0', 'start 1'],
    ['its second start', 'b', 'yes', 'a', 'a', 'b', '1', 'start 2'],
    ['its third start', 'b', 'yes', 'a', 'a', 'b', '2', 'start 3'],
    ['three bad starts', 'b', 'yes', 'a', 'a', 'b', '3', 'return'],
    ['more than three', 'b', 'yes', 'a', 'a', 'b', '99', 'return'],
    ['three bad starts and no way back', 'b', 'yes', '-', '-', 'b', '3', 'start 3'],
    ['the way back leads to the same slot', 'b', 'yes', 'b', '-', 'b', '3', 'start 3'],
    ['a version that was healthy once', 'b', 'yes', 'a', 'b', 'b', '3', 'start 0'],
    ['the count is of another version', 'c', 'yes', 'a', 'a', 'b', '3', 'start 1'],
    ['the count is no number', 'b', 'yes', 'a', 'a', 'b', 'x', 'start 1'],
    ['the count is huge', 'b', 'yes', 'a', 'a', 'b', '99999999999999999999', 'start 1'],
    ['the count is empty', 'b', 'yes', 'a', 'a', 'b', '', 'start 1'],
    ['the slot is damaged', 'b', 'no', 'a', 'b', 'b', '0', 'return'],
    ['the slot is damaged and there is no way back', 'b', 'no', '-', 'b', 'b', '0', 'start 0'],
    ['there is no current slot', '-', 'no', 'a', 'a', 'a', '0', 'return'],
  ];
  test.each(table)('%s', (_, current, usable, previous, healthy, started, count, decision) => {
    const told = spawnSync('sh', [script, 'decide', current, usable, previous, healthy, started, count], { encoding: 'utf8' });
    expect(told.stdout.trim()).toBe(decision);
    expect(told.status).toBe(0);
  });

  test('says what it needs', () => expect(spawnSync('sh', [script, 'decide', 'a']).status).toBe(2));
});

describe.skipIf(why !== '')(`starts of a new version${why}`, () => {
  let folder = '';
  const home = (): string => join(folder, 'home');
  const marks = (): string => join(folder, 'marks');
  const mark = (name: string): string | undefined => (existsSync(join(marks(), name)) ? readFileSync(join(marks(), name), 'utf8').trim() : undefined);
  const current = (): string => readlinkSync(join(home(), 'current'));
  const slots = (): string[] => (mark('log') ?? '').split('\n').map((line) => line.split(' ')[0] ?? '');

  const addSlot = (name: string, behaviour: 'healthy' | 'crash'): void => {
    for (const { path, data, isExecutable } of standInFiles(behaviour, {})) {
      const file = join(home(), 'versions', name, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, data);
      if (isExecutable) chmodSync(file, 0o755);
    }
  };
  const point = (link: string, target: string): void => {
    rmSync(join(home(), link), { force: true });
    symlinkSync(target, join(home(), link));
  };
  const start = () =>
    spawnSync('sh', [script, '--data', '/nowhere'], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], GROUNDPLANE_HOME: home(), GROUNDPLANE_MARKS: marks() },
    });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gp-launch-'));
    mkdirSync(home());
    addSlot('1-aa', 'healthy');
    point('current', 'versions/1-aa');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const update = (behaviour: 'healthy' | 'crash'): void => {
    mkdirSync(marks());
    expect(start().status).toBe(0);
    addSlot('2-bb', behaviour);
    point('previous', 'versions/1-aa');
    point('current', 'versions/2-bb');
  };

  test('a version that crashes three times is left for the one before, and that is said', () => {
    update('crash');
    expect([start().status, start().status, start().status]).toEqual([1, 1, 1]);
    expect(current()).toBe('versions/2-bb');
    const back = start();
    expect(back.status).toBe(0);
    expect(back.stderr).toContain('going back to 1-aa');
    expect(current()).toBe('versions/1-aa');
    expect(existsSync(join(home(), 'previous'))).toBe(false);
    expect(mark('returned')).toBe('2-bb 1-aa');
    expect(slots()).toEqual(['1-aa', '2-bb', '2-bb', '2-bb', '1-aa']);
  });

  test('a version that reports healthy is not counted any more, also when it crashes later', () => {
    update('healthy');
    expect(start().status).toBe(0);
    writeFileSync(join(home(), 'versions/2-bb/agent/agent.mjs'), 'crash');
    for (let times = 0; times < 5; times += 1) expect(start().status).toBe(1);
    expect(current()).toBe('versions/2-bb');
    expect(mark('returned')).toBeUndefined();
  });

  test('both bad: it goes back once and stays there', () => {
    update('crash');
    writeFileSync(join(home(), 'versions/1-aa/agent/agent.mjs'), 'crash');
    for (let times = 0; times < 9; times += 1) start();
    expect(slots()).toEqual(['1-aa', '2-bb', '2-bb', '2-bb', '1-aa', '1-aa', '1-aa', '1-aa', '1-aa', '1-aa']);
  });

  test('a slot without Node is left at once', () => {
    update('healthy');
    rmSync(join(home(), 'versions/2-bb/bin/node'));
    expect(start().status).toBe(0);
    expect(slots().at(-1)).toBe('1-aa');
    expect(mark('returned')).toBe('2-bb 1-aa');
  });

  test('a way back that leads nowhere is none', () => {
    update('crash');
    rmSync(join(home(), 'versions/1-aa'), { recursive: true });
    for (let times = 0; times < 6; times += 1) expect(start().status).toBe(1);
    expect(current()).toBe('versions/2-bb');
  });

  test('links to elsewhere are not followed', () => {
    mkdirSync(marks());
    addSlot('../../evil', 'healthy');
    for (const target of ['versions/../../evil', '/tmp', 'versions/..', 'elsewhere/1-aa']) {
      point('current', target);
      const told = start();
      expect(told.status, target).toBe(1);
      expect(told.stderr).toContain('run install.sh again');
    }
    expect(mark('log')).toBeUndefined();
  });

  test('marks that cannot be written do not keep the agent from starting', () => {
    writeFileSync(marks(), 'a file where the folder should be');
    const told = start();
    expect(told.stderr).toContain('are not counted');
    // The stand-in cannot write its log either; it is started nevertheless.
    expect(told.stderr).toContain('log');
  });

  test('it hands its options on, and tells the agent its slot', () => {
    mkdirSync(marks());
    start();
    expect(mark('log')).toMatch(/^1-aa --v8-pool-size=0 --max-semi-space-size=1 \S+\/versions\/1-aa\/agent\/agent\.mjs --data \/nowhere$/);
  });

  test('a version brings the flags that its Node knows; an empty list of them is as good as none', () => {
    mkdirSync(marks());
    const file = join(home(), 'versions/1-aa/agent/node-flags');
    for (const [flags, given] of [
      ['--max-semi-space-size=1 --no-maglev\n', '--max-semi-space-size=1 --no-maglev'],
      ['', '--v8-pool-size=0 --max-semi-space-size=1'],
    ] as const) {
      writeFileSync(file, flags);
      start();
      expect(mark('log')).toMatch(new RegExp(`1-aa ${given} \\S+/versions/1-aa/agent/agent\\.mjs --data /nowhere$`));
    }
  });

  test('Node knows the flags of this version', () => {
    const flags = readFileSync(join(import.meta.dirname, '../../installer/agent/node-flags'), 'utf8')
      .trim()
      .split(' ');
    expect(spawnSync(process.execPath, [...flags, '--eval', 'console.log("started")'], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: 'started\n' });
  });
});
