import { limits } from '@groundplane/protocol/limits';

/** A list that is read page by page; `complete` is false while pages are still coming or when the limit cut it. */
export interface Listing<T> {
  items: readonly T[];
  complete: boolean;
}

/** More rows than this are not held in a browser; filters on the hub are the way then. */
export const listingItemsMax = 20_000;

interface Page<T> {
  items: T[];
  next?: string | undefined;
}

/** Reads all pages up to the limit, telling `onPart` after each, so that the first rows show after one round trip. */
export const readPages = async <T>(
  readPage: (page: { after?: string; limit: number }) => Promise<Page<T>>,
  onPart: (part: Listing<T>) => void,
): Promise<Listing<T>> => {
  const items: T[] = [];
  let after: string | undefined;
  while (items.length < listingItemsMax) {
    const page = await readPage({ limit: limits.pageItems, ...(after === undefined ? {} : { after }) });
    items.push(...page.items);
    if (page.next === undefined || page.items.length === 0) return { items, complete: true };
    after = page.next;
    onPart({ items: [...items], complete: false });
  }
  return { items, complete: false };
};

/** Puts one changed item in its place (by name), or takes it out when it is gone. */
export const patchListing = <T extends { name: string }>(listing: Listing<T>, name: string, item: T | undefined): Listing<T> => {
  const index = listing.items.findIndex((each) => each.name === name);
  if (item === undefined) return index === -1 ? listing : { ...listing, items: listing.items.toSpliced(index, 1) };
  if (index !== -1) return { ...listing, items: listing.items.with(index, item) };
  const at = listing.items.findIndex((each) => each.name > name);
  return { ...listing, items: listing.items.toSpliced(at === -1 ? listing.items.length : at, 0, item) };
};
