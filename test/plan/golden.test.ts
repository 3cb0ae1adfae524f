import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { transcript } from './scenario.ts';
import { scenarios } from './scenarios.ts';

const folder = join(import.meta.dirname, 'golden');
const isUpdating = process.env['UPDATE_GOLDEN'] === '1';

for (const [name, [title, tell]] of Object.entries(scenarios)) {
  test(`${name}: ${title}`, () => {
    const file = join(folder, `${name}.txt`);
    const text = transcript(title, tell);
    if (isUpdating) writeFileSync(file, text);
    expect(existsSync(file), `${file} is missing; make it with UPDATE_GOLDEN=1 and read it`).toBe(true);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });
}

test('there is no transcript without a scenario', () => {
  expect(readdirSync(folder).toSorted()).toEqual(
    Object.keys(scenarios)
      .map((name) => `${name}.txt`)
      .toSorted(),
  );
});
