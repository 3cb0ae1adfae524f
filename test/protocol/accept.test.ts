import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acceptDesired } from '@groundplane/protocol/accept';
import type { Version } from '@groundplane/protocol/bundle';
import { digestBytes } from '@groundplane/protocol/digest';

const version = (epoch: string, generation: number, content = 'a'): Version => ({ epoch, generation, digest: digestBytes(content) });
const versions = fc
  .record({ epoch: fc.constantFrom('e1', 'e2', 'e3'), generation: fc.integer({ min: 1, max: 12 }), content: fc.constantFrom('a', 'b', 'c') })
  .map((item) => version(item.epoch, item.generation, item.content));

describe('accepting a desired state', () => {
  test.each([
    ['the first one', undefined, version('e1', 1), undefined, 'new'],
    ['a higher generation', version('e1', 4), version('e1', 5), undefined, 'new'],
    ['one far above', version('e1', 4), version('e1', 400), undefined, 'new'],
    ['the very same', version('e1', 4), version('e1', 4), undefined, 'same'],
    ['the same number with other content', version('e1', 4), version('e1', 4, 'b'), undefined, 'stale'],
    ['an older one', version('e1', 4), version('e1', 3), undefined, 'stale'],
    ['another epoch', version('e1', 4), version('e2', 5), undefined, 'foreign'],
    ['another epoch that read us', version('e1', 4), version('e2', 5), version('e1', 4), 'new'],
    ['another epoch that read us, but not above us', version('e1', 4), version('e2', 4), version('e1', 4), 'foreign'],
    ['another epoch that read somebody else', version('e1', 4), version('e2', 9), version('e1', 4, 'b'), 'foreign'],
    ['another epoch that read us earlier', version('e1', 4), version('e2', 9), version('e1', 3), 'foreign'],
  ] as const)('%s', (_, have, offered, adopted, accept) => expect(acceptDesired(have, offered, [], adopted).accept).toBe(accept));

  test('poison is refused, and only that very version', () => {
    const bad = version('e1', 5);
    expect(acceptDesired(version('e1', 4), bad, [bad], undefined).accept).toBe('poisoned');
    expect(acceptDesired(undefined, bad, [bad], undefined).accept).toBe('poisoned');
    expect(acceptDesired(version('e1', 4), version('e1', 5, 'b'), [bad], undefined).accept).toBe('new');
    expect(acceptDesired(version('e1', 4), version('e1', 6), [bad], undefined).accept).toBe('new');
    expect(acceptDesired(undefined, version('e2', 5), [bad], undefined).accept).toBe('new');
  });

  test('the generation of a host never goes down, whatever comes in whatever order', () => {
    const offers = fc.array(fc.record({ offered: versions, adopted: fc.option(versions, { nil: undefined }), poison: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(offers, (list) => {
        let have: Version | undefined;
        const poisoned: Version[] = [];
        for (const { offered, adopted, poison } of list) {
          const before = have;
          const { accept } = acceptDesired(have, offered, poisoned, adopted);
          if (accept === 'new') have = offered;
          if (accept === 'same') expect(offered).toEqual(before);
          if (poison && have !== undefined) poisoned.push(have);
          if (before !== undefined) {
            expect(have?.generation).toBeGreaterThanOrEqual(before.generation);
            if (have !== before) expect(have?.generation).toBeGreaterThan(before.generation);
            if (have?.epoch !== before.epoch) expect(adopted).toEqual(before);
          }
          if (accept === 'new') expect(poisoned.slice(0, poison ? -1 : undefined)).not.toContainEqual(offered);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
