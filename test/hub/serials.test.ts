import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nameSchema } from '@groundplane/protocol/ids';
import { limits } from '@groundplane/protocol/limits';
import { readSerials } from '@groundplane/protocol/serials';

const messages = (text: string) => readSerials(text).problems.map((problem) => `${problem.line}: ${problem.message}`);

describe('a list of serial numbers', () => {
  test('takes commas, semicolons, spaces and tabs, remarks, empty lines and Windows line ends', () => {
    const text = '\uFEFF# batch 7\r\nSN-1,till-1\r\n\r\nSN-2 till-2 # by the door\nSN-3;till-3\nSN-4\ttill-4\nSN-5\n';
    expect(readSerials(text)).toEqual({
      devices: { 'SN-1': 'till-1', 'SN-2': 'till-2', 'SN-3': 'till-3', 'SN-4': 'till-4', 'SN-5': '' },
      count: 5,
      named: 4,
      problems: [],
      problemCount: 0,
    });
  });

  test('what spreadsheets write: a heading, quotes, an empty last column', () => {
    expect(readSerials('Serial,Name\n"SN-1","till-1"\nSN-2,till-2,\n').devices).toEqual({ 'SN-1': 'till-1', 'SN-2': 'till-2' });
    expect(readSerials('"Serial number";"Name"\nSN-1;a').devices).toEqual({ 'SN-1': 'a' });
    // Only as the first line: later it is a device.
    expect(readSerials('SN-1,a\nserial,name').count).toBe(2);
  });

  test('each wrong line is told with its number, and the rest is read all the same', () => {
    const list = readSerials('SN-1,till-1\nSN-2,Till_2\nSN-1\nSN-3,till-1\nSN-4 a b\n,x\nSN-5');
    expect(list.devices).toEqual({ 'SN-1': 'till-1', 'SN-5': '' });
    expect(list.problems.map((problem) => problem.line)).toEqual([2, 3, 4, 5, 6]);
    expect(list.problems.map((problem) => problem.message).join('\n')).toMatch(
      /Till_2 is not a possible name[^]*SN-1 is in the list twice, first in line 1[^]*till-1 is given twice, first in line 1[^]*more than a serial[^]*no serial/,
    );
  });

  test('bounds, at their edges', () => {
    const serials = (count: number) => Array.from({ length: count }, (_, index) => `SN-${index}`).join('\n');
    expect(messages(serials(limits.ticketSerials))).toEqual([]);
    expect(messages(serials(limits.ticketSerials + 1))).toEqual([
      `0: names ${limits.ticketSerials + 1} devices; one ticket is for at most ${limits.ticketSerials}`,
    ]);
    expect(messages('x'.repeat(limits.serialChars))).toEqual([]);
    expect(messages('x'.repeat(limits.serialChars + 1))[0]).toContain('1: has a serial number of more than');
    expect(messages('# nothing\n\n')).toEqual(['0: names no device']);
    const many = readSerials('a b c\n'.repeat(50));
    expect([many.problems.length, many.problemCount]).toEqual([20, 50]);
  });

  test('names of objects are serial numbers like others', () => {
    expect(Object.entries(readSerials('__proto__,a\nconstructor,b').devices)).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });

  test('a name is possible exactly when the API takes it', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.stringMatching(/^[a-zA-Z0-9._-]{1,66}$/), fc.stringMatching(/^[a-z0-9-]{1,66}$/)),
        (name) => (readSerials(`SN-1,${name}`).problemCount === 0) === nameSchema.safeParse(name).success,
      ),
    );
  });
});
