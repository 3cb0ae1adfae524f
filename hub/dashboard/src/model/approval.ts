import type { HostView } from '@groundplane/protocol/api/views';

/** What becomes of a host that says the serial number of an approved one. Nobody but a person knows, so there is no default. */
export type Place = 'replace' | 'new';

/** What the screens need of a waiting host. */
export type Waiting = Pick<HostView, 'name' | 'words' | 'replaces' | 'state'>;

interface Approval {
  words: string;
  replace?: true;
}

/** The request that lets a host in: its words go along, so that the hub refuses when its key changed between reading and pressing. */
export const approvalOf = (host: Waiting, place: Place | undefined): Approval => ({
  words: host.words,
  ...(place === 'replace' ? { replace: true } : {}),
});

/** Why these hosts cannot be let in yet, or undefined. `places` holds what was chosen, by name. */
export const whyNotApprove = (names: readonly string[], read: ReadonlyMap<string, Waiting>, places: ReadonlyMap<string, Place>): string | undefined => {
  if (names.some((name) => !read.has(name))) return 'The words are still being read.';
  const open = names.find((name) => read.get(name)?.replaces !== undefined && !places.has(name));
  if (open === undefined) return twiceReplaced(names, read, places);
  return `Choose for ${open.slice(0, 80)}: it takes the place of ${(read.get(open)?.replaces ?? '').slice(0, 80)}, or is a new host.`;
};

/** Only one can take a place. */
const twiceReplaced = (names: readonly string[], read: ReadonlyMap<string, Waiting>, places: ReadonlyMap<string, Place>): string | undefined => {
  const taken = names.filter((name) => places.get(name) === 'replace').map((name) => read.get(name)?.replaces);
  const twice = taken.find((old, index) => taken.indexOf(old) !== index);
  return twice === undefined ? undefined : `Two of them are to take the place of ${twice.slice(0, 80)}; only one can.`;
};
