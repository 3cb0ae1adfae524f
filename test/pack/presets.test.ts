import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyPresets, detectPresets, enabledPresets, parseChoice, parsePresets, withEnabledPresets, type Preset } from '@groundplane/protocol/pack/presets';
import { readSource } from '@groundplane/protocol/pack/source';
import { setValue } from '@groundplane/protocol/pack/values';
import type { Result } from '@groundplane/protocol/failure';

const good = <T>(result: Result<T>): T => {
  if (!result.ok) throw new Error(`${result.failure.code} ${result.failure.element}: ${result.failure.message}`);
  return result.value;
};
const plain = (text: string): unknown => readSource(text, 'values.yaml').source?.plain;
const presetsOf = (text: string): Preset[] => {
  const { presets, findings } = parsePresets(text);
  expect(findings).toEqual([]);
  return presets;
};

const shop = presetsOf(`presets:
  - name: one-host
    displayName: "One host"
    group: "Size - hosts"
    remove: []
    add: |
      charts:
        shop:
          replicas: 1
          cache:
            # Nothing to share it with.
            enabled: false
  - name: many hosts
    displayName: Many
    group: "Size - hosts"
    remove: ["charts.shop.cache", charts.shop.nothing.here]
    add: |
      charts:
        shop:
          replicas: 3
          cache: {shared: true}
          list: [a, b]
  - name: open
    group: Access
    description: Everybody
    add: |
      charts: {shop: {public: true}}
  - name: closed
    group: Access
    remove: charts.shop.public
    add: ""
`);

const values = `# spectrocloud.com/enabled-presets: Size - hosts:one-host
# The shop.
pack:
  namespace: shop
charts:
  shop:
    replicas: 1 # a remark
    cache:
      enabled: false
    public: false
    mine: 1
`;

describe('presets.yaml', () => {
  test('is read with what reality leaves out', () => {
    expect(shop.map(({ name, group, displayName, remove, line }) => [name, group, displayName, remove, line])).toEqual([
      ['one-host', 'Size - hosts', 'One host', [], 2],
      ['many hosts', 'Size - hosts', 'Many', ['charts.shop.cache', 'charts.shop.nothing.here'], 13],
      ['open', 'Access', 'open', [], 23],
      ['closed', 'Access', 'closed', ['charts.shop.public'], 28],
    ]);
  });

  test.each([
    ['presets: [{name: a, group: g, add: "x: [1"}]', 'preset-add-malformed', 1],
    ['presets:\n- {group: g, add: "x: 1"}', 'preset-invalid', 2],
    ['presets:\n- {name: a, add: "x: 1"}', 'preset-group-missing', 2],
    ['presets:\n- {name: a, group: g, remove: ["a..b"], add: "x: 1"}', 'preset-path-invalid', 2],
    ['presets:\n- {name: a, group: g, add: "x: 1"}\n- {name: a, group: g, add: "x: 2"}', 'preset-twice', 3],
    ['presets:\n- {name: a, group: g}', 'preset-empty', 2],
    ['presets:\n- {name: a, group: "g,h", add: "x: 1"}', 'preset-invalid', 2],
    ['presets:\n- {name: a, group: g, add: {x: 1}}', 'preset-add-form', 2],
    ['presets: 1', 'presets-malformed', 1],
    ['a: [', 'yaml-malformed', 1],
  ])('%j is told as %s', (text, code, line) => {
    const { findings } = parsePresets(text);
    expect(findings.map((finding) => [finding.code, finding.line])).toEqual([[code, line]]);
  });

  test('an empty one has none', () => {
    expect(parsePresets('# nothing\n')).toEqual({ presets: [], findings: [] });
    expect(parsePresets('presets: []')).toEqual({ presets: [], findings: [] });
  });
});

describe('the comment', () => {
  test('is read above the first key only', () => {
    expect(enabledPresets(values)).toEqual([{ group: 'Size - hosts', name: 'one-host' }]);
    expect(enabledPresets('---\r\n\r\n#spectrocloud.com/enabled-presets : A b:c d , E:f\r\na: 1\r\n')).toEqual([
      { group: 'A b', name: 'c d' },
      { group: 'E', name: 'f' },
    ]);
    expect(enabledPresets('a: 1\n# spectrocloud.com/enabled-presets: A:b\n')).toBeUndefined();
    expect(enabledPresets('# spectrocloud.com/enabled-presets:\n')).toEqual([]);
  });

  test('is written where it stands, or at the top, and goes with the last one', () => {
    expect(withEnabledPresets('a: 1\n', [{ group: 'A', name: 'b' }])).toBe('# spectrocloud.com/enabled-presets: A:b\na: 1\n');
    expect(withEnabledPresets('# x\n# spectrocloud.com/enabled-presets: A:b\na: 1\n', [{ group: 'A', name: 'c' }])).toBe(
      '# x\n# spectrocloud.com/enabled-presets: A:c\na: 1\n',
    );
    expect(withEnabledPresets('# spectrocloud.com/enabled-presets: A:b\na: 1\n', [])).toBe('a: 1\n');
    expect(withEnabledPresets('a: 1\n', [])).toBe('a: 1\n');
    // Every other byte stays, also line breaks of two kinds and the mark at the start.
    expect(withEnabledPresets('\uFEFF# spectrocloud.com/enabled-presets: A:b\r\na: 1\nb: 2\r\n', [{ group: 'A', name: 'c' }])).toBe(
      '\uFEFF# spectrocloud.com/enabled-presets: A:c\r\na: 1\nb: 2\r\n',
    );
  });
});

describe('applying', () => {
  test('another one of the group takes the place of the first; remarks stay', () => {
    const { values: edited, kept } = good(applyPresets(values, shop, [{ group: 'Size - hosts', name: 'many hosts' }], values));
    expect(edited).toBe(`# spectrocloud.com/enabled-presets: Size - hosts:many hosts
# The shop.
pack:
  namespace: shop
charts:
  shop:
    replicas: 3 # a remark
    public: false
    mine: 1
    cache: {shared: true}
    list: [a, b]
`);
    expect(kept).toEqual([]);
  });

  test('and back: what the second one added is gone', () => {
    const there = good(applyPresets(values, shop, [{ group: 'Size - hosts', name: 'many hosts' }], values)).values;
    const back = good(applyPresets(there, shop, [{ group: 'Size - hosts', name: 'one-host' }], values)).values;
    expect(plain(back)).toEqual(plain(values));
    expect(back).toContain('# a remark');
  });

  test('what somebody changed since stays and is named', () => {
    const there = good(applyPresets(values, shop, [{ group: 'Size - hosts', name: 'many hosts' }], values)).values;
    const mine = good(setValue(there, 'charts.shop.list', ['z']));
    const applied = good(applyPresets(mine, shop, [{ group: 'Size - hosts', name: 'one-host' }], values));
    expect(applied.kept).toEqual(['charts.shop.list']);
    expect(plain(applied.values)).toMatchObject({ charts: { shop: { list: ['z'], replicas: 1 } } });
  });

  test('groups do not touch each other', () => {
    const edited = good(applyPresets(values, shop, [{ group: 'Access', name: 'open' }], values)).values;
    expect(enabledPresets(edited)).toEqual([
      { group: 'Size - hosts', name: 'one-host' },
      { group: 'Access', name: 'open' },
    ]);
    expect(plain(good(applyPresets(edited, shop, [{ group: 'Access', name: 'closed' }], values)).values)).toEqual({
      pack: { namespace: 'shop' },
      charts: { shop: { replicas: 1, cache: { enabled: false }, mine: 1 } },
    });
  });

  test('values that hold nothing get all of it', () => {
    expect(good(applyPresets('', shop, [{ group: 'Access', name: 'open' }])).values).toBe(
      '# spectrocloud.com/enabled-presets: Access:open\ncharts: {shop: {public: true}}\n',
    );
  });

  test('one that does not exist is refused, with the names of those that do', () => {
    expect(applyPresets(values, shop, [{ group: 'Access', name: 'shut' }])).toMatchObject({
      ok: false,
      failure: { code: 'preset-unknown', message: expect.stringContaining('Access:open') as string },
    });
    expect(parseChoice('many hosts', shop)).toEqual({ ok: true, value: { group: 'Size - hosts', name: 'many hosts' } });
    expect(parseChoice('size - hosts:ONE-host', shop)).toEqual({ ok: true, value: { group: 'Size - hosts', name: 'one-host' } });
    expect(parseChoice('x', [])).toMatchObject({ ok: false, failure: { message: 'the pack has no presets' } });
  });
});

describe('values that wait for a preset', () => {
  const [preset] = presetsOf(
    'presets:\n- name: flex\n  group: Platform\n  remove: [charts.op.csm, charts.op.class]\n  add: |\n    charts:\n      op:\n        csm:\n          # Where it goes.\n          namespace: flex\n          secret: |\n            - user: "admin"\n              mdm: "10.0.0.3,10.0.0.4"\n',
  );
  const rest = 'charts:\n  op:\n    size: 1\n';
  test.each([
    ['a key of nothing with a remark below, and no line break at the end', `${rest}    csm:\n      # Select a preset`],
    ['a key of nothing', `${rest}    csm:\n`],
    ['an empty map with a remark below', 'charts:\n  op: {}\n  # Select a preset'],
    ['a map of one key that goes', 'charts:\n  op:\n    csm: {old: 1}\nother: 1\n'],
    ['no key', rest],
  ])('%s', (_, text) => {
    const applied = good(applyPresets(text, preset === undefined ? [] : [preset], [{ group: 'Platform', name: 'flex' }], text)).values;
    expect(plain(applied)).toMatchObject({ charts: { op: { csm: { namespace: 'flex', secret: '- user: "admin"\n  mdm: "10.0.0.3,10.0.0.4"\n' } } } });
    expect(applied).toContain('# Where it goes.');
    for (const line of text.split('\n').filter((item) => item.trim().startsWith('#') || item.includes('size'))) expect(applied).toContain(line);
  });
});

describe('recognising', () => {
  test('the comment decides; the values say whether it still is so', () => {
    expect(good(detectPresets(values, shop))).toEqual([{ group: 'Size - hosts', name: 'one-host', by: 'comment', isUnchanged: true, isKnown: true }]);
    const mine = good(setValue(values, 'charts.shop.replicas', 7));
    expect(good(detectPresets(mine, shop))[0]).toMatchObject({ by: 'comment', isUnchanged: false });
    // A comment that came along with values of another pack.
    expect(good(detectPresets('# spectrocloud.com/enabled-presets: CNI:off\na: 1\n', shop))[0]).toMatchObject({ isKnown: false, isUnchanged: false });
  });

  test('without a comment the values decide, when only one fits', () => {
    const bare = withEnabledPresets(values, []);
    expect(good(detectPresets(bare, shop))).toEqual([{ group: 'Size - hosts', name: 'one-host', by: 'content', isUnchanged: true, isKnown: true }]);
    expect(good(detectPresets('charts: {shop: {replicas: 3, cache: {shared: true}, list: [a, b], public: true}}\n', shop)).map((item) => item.name)).toEqual([
      'many hosts',
      'open',
    ]);
    const same = presetsOf('presets: [{name: a, group: g, add: "x: 1"}, {name: b, group: g, add: "x: 1"}]');
    expect(good(detectPresets('x: 1\n', same))).toEqual([]);
  });
});

const choice = fc.constantFrom(...shop.map(({ group, name }) => ({ group, name })));
const edits = fc.array(
  fc.tuple(
    fc.constantFrom('charts.shop.replicas', 'charts.shop.mine', 'charts.shop.new.key', 'pack.namespace', 'charts.shop.list'),
    fc.oneof(fc.integer(), fc.string()),
  ),
  { maxLength: 3 },
);

describe('for any edits before', () => {
  test('applying twice is applying once', () => {
    fc.assert(
      fc.property(edits, fc.array(choice, { minLength: 1, maxLength: 4 }), (changes, choices) => {
        const start = changes.reduce((text, [path, value]) => good(setValue(text, path, value)), values);
        const last = choices.at(-1) ?? { group: '', name: '' };
        const once = good(applyPresets(start, shop, choices, values)).values;
        expect(good(applyPresets(once, shop, [last], values)).values).toBe(once);
        expect(good(detectPresets(once, shop)).find((item) => item.group === last.group)).toMatchObject({ name: last.name, by: 'comment', isUnchanged: true });
      }),
      { numRuns: 100 },
    );
  });

  test('the way does not matter when nobody edits in between', () => {
    fc.assert(
      fc.property(fc.array(choice, { minLength: 1, maxLength: 5 }), (choices) => {
        const last = new Map(choices.map((item) => [item.group, item]));
        const byWay = good(applyPresets(values, shop, choices, values)).values;
        const direct = good(applyPresets(values, shop, [...last.values()], values)).values;
        expect(plain(byWay)).toEqual(plain(direct));
      }),
      { numRuns: 100 },
    );
  });
});
