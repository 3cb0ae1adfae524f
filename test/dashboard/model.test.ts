import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { nameSchema } from '@groundplane/protocol/ids';
import { profileDocumentSchema, clusterDocumentSchema } from '@groundplane/protocol/profile';
import { clusterStates } from '@groundplane/protocol/cluster-state';
import { joinFrames, parseFrame } from '@groundplane/hub/dashboard/src/api/live';
import { patchListing, readPages } from '@groundplane/hub/dashboard/src/api/listing';
import { addToList, setValue } from '@groundplane/hub/dashboard/src/edit/change-document';
import { checkDocument } from '@groundplane/hub/dashboard/src/edit/check-document';
import { clusterStarter, profileStarter } from '@groundplane/hub/dashboard/src/edit/starters';
import { approvalOf, whyNotApprove, type Place } from '@groundplane/hub/dashboard/src/model/approval';
import { attention } from '@groundplane/hub/dashboard/src/model/attention';
import { filterRows } from '@groundplane/hub/dashboard/src/model/filter';
import { cellAt, groupHosts, layoutHeat, neighbour } from '@groundplane/hub/dashboard/src/model/heat';
import { isName, showControls } from '@groundplane/hub/dashboard/src/model/names';
import { hostSubject } from '@groundplane/hub/dashboard/src/model/subjects';
import { whyNot } from '@groundplane/hub/dashboard/src/model/allowed';
import { compareVersions, nextPatch } from '@groundplane/hub/dashboard/src/model/versions';
import { isOwnPath, paths } from '@groundplane/hub/dashboard/src/paths';
import { ago, duration } from '@groundplane/hub/dashboard/src/time';
import { makeHost, makeWorld } from './fixture-data.ts';

const atMs = Date.UTC(2026, 10, 23);
const hosts = Array.from({ length: 60 }, (_, number) => makeHost(number, atMs));
const names = (filter: string): string[] => filterRows(hosts, filter, hostSubject).map((host) => host.name);

describe('filter', () => {
  test('words, fields, labels and negation all have to hold', () => {
    expect(names('till-001')).toHaveLength(10);
    expect(names('is:offline').every((name) => hosts.find((host) => host.name === name)?.online === false)).toBe(true);
    expect(names('is:online').length + names('-is:online').length).toBe(60);
    expect(names('site=north ring=canary')).toEqual(
      hosts.filter((host) => host.labels['site'] === 'north' && host.labels['ring'] === 'canary').map((host) => host.name),
    );
    expect(names('phase:converged cluster:store-001')).not.toHaveLength(0);
  });
  test('a field that rows do not have matches nothing, also when its name is one of Object', () => {
    expect(names('colour:red')).toEqual([]);
    expect(names('constructor:x')).toEqual([]);
    expect(names('__proto__=x')).toEqual([]);
  });
  test('an empty filter gives the same array, so nothing is drawn again', () => {
    expect(filterRows(hosts, '  ', hostSubject)).toBe(hosts);
  });
});

describe('versions', () => {
  test('precedence is that of the standard', () => {
    const order = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.2.0',
      '1.10.0',
      '2.0.0',
    ];
    expect(order.toReversed().toSorted(compareVersions)).toEqual(order);
  });
  test('the next patch of a pre-release is its release', () => {
    expect(nextPatch('1.4.2')).toBe('1.4.3');
    expect(nextPatch('1.4.2-rc.1')).toBe('1.4.2');
    expect(nextPatch('1.4.2+build')).toBe('1.4.3');
  });
});

describe('names and paths', () => {
  test('an address for a phone survives a login', () => {
    expect(paths.approve('a b', 'x/y')).toBe('/p/a%20b/approve/x%2Fy');
    expect(isOwnPath('/approve?key=ed25519%3Aabc')).toBe(true);
  });

  test('the rule of names is the protocol’s', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ maxLength: 70 }), fc.stringMatching(/^[a-z0-9-]{0,65}$/)),
        (text) => isName(text) === nameSchema.safeParse(text).success,
      ),
    );
  });
  test('invisible controls are shown by their code', () => {
    expect(showControls('a\u202Egnp.exe')).toBe('a[U+202E]gnp.exe');
    expect(showControls('Grüße, مستودع')).toBe('Grüße, مستودع');
  });
  test('names cannot leave their place in a path', () => {
    expect(paths.host('a', '../../x?y#z')).toBe('/p/a/hosts/..%2F..%2Fx%3Fy%23z');
  });
  test.each(['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:x', '/login?next=/login', '/setup'])(
    '%s is no return address',
    (path) => {
      expect(isOwnPath(path)).toBe(false);
    },
  );
  test('a path of the page is a return address', () => {
    expect(isOwnPath('/p/retail/clusters/store-1?q=x')).toBe(true);
  });
});

describe('lists', () => {
  test('pages are read to the end, and each is shown as it comes', async () => {
    const parts: number[] = [];
    const listing = await readPages(
      ({ after }) => Promise.resolve({ items: [{ name: after ?? '0' }], ...(after === '3' ? {} : { next: String(Number(after ?? '0') + 1) }) }),
      (part) => parts.push(part.items.length),
    );
    expect(listing).toEqual({ items: [{ name: '0' }, { name: '1' }, { name: '2' }, { name: '3' }], complete: true });
    expect(parts).toEqual([1, 2, 3]);
  });
  test('reading ends at the limit when a hub never stops', async () => {
    const items = Array.from({ length: 500 }, (_, index) => ({ name: String(index) }));
    const listing = await readPages(
      () => Promise.resolve({ items: [...items], next: 'again' }),
      () => undefined,
    );
    expect(listing.items).toHaveLength(20_000);
    expect(listing.complete).toBe(false);
  });
  test('one item is changed, added in its place, or taken out', () => {
    const listing = { items: [{ name: 'a' }, { name: 'c' }], complete: true };
    expect(patchListing(listing, 'b', { name: 'b' }).items.map((item) => item.name)).toEqual(['a', 'b', 'c']);
    expect(patchListing(listing, 'c', undefined).items.map((item) => item.name)).toEqual(['a']);
    expect(patchListing(listing, 'x', undefined)).toBe(listing);
  });
});

describe('stream frames', () => {
  test('unknown parts are left out and nonsense is no frame', () => {
    const frame = parseFrame(
      JSON.stringify({ changes: [{ kind: 'host', project: 'p', name: 'h' }, { kind: 'moon', project: 'p', name: 'x' }, 7], events: true }),
    );
    expect(frame).toEqual({ changes: [{ kind: 'host', project: 'p', name: 'h' }], events: true, fleet: undefined });
    for (const text of ['', '{', '7', 'null', '[]x']) expect(parseFrame(text)).toBeUndefined();
  });
});

test('frames that wait are joined: each thing once, the newest counters', () => {
  const host = { kind: 'host' as const, project: 'p', name: 'h' };
  const fleet = { hosts: 2 } as unknown as NonNullable<ReturnType<typeof parseFrame>>['fleet'];
  expect(joinFrames({ changes: [host], events: true, fleet: undefined }, { changes: [host, { ...host, name: 'i' }], events: false, fleet })).toEqual({
    changes: [host, { ...host, name: 'i' }],
    events: true,
    fleet,
  });
});

describe('heat map', () => {
  test('no two cells share a place and the pointer finds each', () => {
    const layout = layoutHeat(groupHosts(hosts, 'cluster'), 600);
    expect(layout.cells).toHaveLength(60);
    expect(new Set(layout.cells.map((cell) => `${cell.x}/${cell.y}`)).size).toBe(60);
    for (const cell of layout.cells) {
      expect(cellAt(layout, cell.x + 1, cell.y + 1)).toBe(cell);
      expect(cell.x + layout.size).toBeLessThanOrEqual(602);
      expect(cell.y + layout.size).toBeLessThanOrEqual(layout.height);
    }
  });
  test('arrows reach every row and end at the edges', () => {
    const layout = layoutHeat(groupHosts(hosts, 'none'), 300);
    expect(neighbour(layout, 0, 'ArrowLeft')).toBe(0);
    expect(neighbour(layout, 59, 'ArrowRight')).toBe(59);
    const below = neighbour(layout, 0, 'ArrowDown');
    expect(layout.cells[below]?.y).toBeGreaterThan(0);
    expect(neighbour(layout, below, 'ArrowUp')).toBe(0);
  });
  test('more groups than can be read become one', () => {
    const many = Array.from({ length: 400 }, (_, number) => makeHost(number, atMs, { cluster: `c${number}` }));
    const groups = groupHosts(many, 'cluster');
    expect(groups).toHaveLength(150);
    expect(groups.reduce((sum, [, members]) => sum + members.length, 0)).toBe(400);
  });
});

describe('documents', () => {
  test('problems name the line of the text', () => {
    const head = 'apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata:\n  name: Bad Name\n  version: 1.0.0\n';
    const text = `${head}spec:\n  type: addon\n  layers:\n    - name: a\n      kind: addon\n      manifests: []\n    - name: b\n      kind: addon\n`;
    const { problems, value } = checkDocument(text, profileDocumentSchema);
    expect(value).toBeUndefined();
    expect(problems.map(({ line, message }) => [line, message])).toEqual([
      [4, 'metadata.name: must be lower-case letters, digits and dashes, starting and ending with a letter or digit'],
      [12, expect.stringContaining('says nothing to install')],
    ]);
  });
  test('YAML errors come with their line, and only those', () => {
    const { problems } = checkDocument('a: 1\nb: [1\n', profileDocumentSchema);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.every((problem) => problem.line >= 2)).toBe(true);
  });
  test('an alias bomb ends', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      ...'bcdefghi'.split('').map((name, index) => `${name}: &${name} [${Array.from({ length: 10 }, () => `*${'abcdefghi'[index]}`).join(',')}]`),
    ].join('\n');
    expect(checkDocument(bomb, profileDocumentSchema).problems[0]?.message).toMatch(/alias/i);
  });
  test('the starting texts are what they should be', () => {
    expect(checkDocument(profileStarter, profileDocumentSchema).problems).toEqual([]);
    expect(checkDocument(clusterStarter, clusterDocumentSchema).problems).toHaveLength(1);
  });
  test('a click adds to a list and keeps the comment', () => {
    const text = addToList(addToList(clusterStarter, ['spec', 'profiles'], { name: 'hello', version: '1.0.0' }), ['spec', 'hosts'], 'till-1');
    expect(text).toContain('# One infrastructure');
    expect(checkDocument(setValue(text, ['spec', 'variables', 'greeting'], '1'), clusterDocumentSchema).value?.spec).toEqual({
      profiles: [{ name: 'hello', version: '1.0.0' }],
      variables: { greeting: '1' },
      hosts: ['till-1'],
    });
  });
  test('a text that cannot be read is not touched', () => {
    expect(addToList('a: [1\n', ['a'], 2)).toBe('a: [1\n');
  });
});

describe('attention', () => {
  test('worst first, then by the number of hosts', () => {
    const world = makeWorld({ hosts: 60 }, atMs);
    const clusters = [...world.clusters.values()].map((cluster) => ({ ...cluster, hosts: cluster.hosts.length, online: 0 }));
    const { items } = attention('retail', clusters, hosts, 3, atMs);
    expect(items.map((item) => item.key)).toEqual(['cluster/store-001', 'cluster/store-003', 'cluster/store-004', 'lobby', 'away']);
    expect(Object.keys(clusterStates)).toContain('failed');
  });
});

test('a disabled button names the right that is missing', () => {
  const who = { subject: 'usr_1', name: 'v', tenant: { id: 't', name: 't' }, grants: [{ role: 'Viewer' as const, project: 'retail' }], permissions: [] };
  expect(whyNot(who, 'cluster.get', 'retail')).toBeUndefined();
  expect(whyNot(who, 'cluster.apply', 'retail')).toContain('cluster.apply in project retail. You are Viewer');
});

test('ages are short and never negative', () => {
  expect(duration(-5)).toBe('0 s');
  expect(duration(3 * 3600_000 + 5)).toBe('3 h');
  expect(duration(90 * 24 * 3600_000)).toBe('90 d');
  expect(ago(1000, 0)).toBe('just now');
});

describe('approval', () => {
  const plain = makeHost(1, atMs, { name: 'plain', state: 'lobby' });
  const board = makeHost(2, atMs, { name: 'board', state: 'lobby', replaces: 'till-1' });
  const second = makeHost(3, atMs, { name: 'second', state: 'lobby', replaces: 'till-1' });
  const read = new Map([plain, board, second].map((host) => [host.name, host]));
  const why = (names: string[], places: [string, Place][] = []) => whyNotApprove(names, read, new Map(places));

  test('waits for the words of each, and for a choice where there is one', () => {
    expect(why(['plain'])).toBeUndefined();
    expect(why(['plain', 'unread'])).toContain('words are still being read');
    expect(why(['plain', 'board'])).toContain('Choose for board: it takes the place of till-1');
    expect(why(['board'], [['board', 'new']])).toBeUndefined();
    expect(why(['board'], [['board', 'replace']])).toBeUndefined();
  });
  test('only one can take a place', () => {
    const both: [string, Place][] = [
      ['board', 'replace'],
      ['second', 'replace'],
    ];
    expect(why(['board', 'second'], both)).toContain('only one can');
    expect(why(['board'], both)).toBeUndefined();
    expect(
      why(
        ['board', 'second'],
        [
          ['board', 'replace'],
          ['second', 'new'],
        ],
      ),
    ).toBeUndefined();
  });
  test('the request says what was chosen, even when the place is gone meanwhile: then the hub refuses instead of letting a new host in', () => {
    expect(approvalOf(plain, undefined)).toEqual({ words: plain.words });
    expect(approvalOf(board, 'new')).toEqual({ words: board.words });
    expect(approvalOf(board, 'replace')).toEqual({ words: board.words, replace: true });
    expect(approvalOf(plain, 'replace')).toEqual({ words: plain.words, replace: true });
  });
});
