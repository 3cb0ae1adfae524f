import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { limits } from '@groundplane/protocol/limits';
import type { Cluster, ListQuery } from '../port/cluster.ts';

/** A list whose place between two pages is lost begins anew this often. */
const restartsMax = 3;

export interface Folded<T> {
  value: T;
  /** There is more than was read: what was counted is a lower bound. */
  isMore: boolean;
}

export interface Fold<T> {
  query: ListQuery;
  /** Before the first object; asked again when the list begins anew. */
  empty: () => T;
  add: (sum: T, object: KubeObject) => T;
  /** No more pages are read after it says so. */
  isLate?: () => boolean;
}

/** One go. Undefined: its place was lost. */
const foldOnce = async <T>(cluster: Cluster, { query, empty, add, isLate = () => false }: Fold<T>): Promise<Result<Folded<T> | undefined>> => {
  let value = empty();
  let left: number = limits.lookObjects;
  let after: string | undefined;
  for (let page = 0; page < limits.lookPages; page += 1) {
    // Not before the first one: an answer of some kind is worth the wait.
    if (page > 0 && isLate()) return ok({ value, isMore: true });
    const read = await cluster.page({ ...query, limit: limits.lookPageObjects, ...(after === undefined ? {} : { after }) });
    if (!read.ok) return read.failure.code === 'history-gone' ? ok(undefined) : read;
    const { items, next } = read.value;
    // A server that takes no notice of the limit is cut off all the same.
    for (const item of items.slice(0, left)) value = add(value, item);
    const isCut = items.length > left;
    left -= Math.min(left, items.length);
    if (isCut) return ok({ value, isMore: true });
    if (next === undefined) return ok({ value, isMore: false });
    if (left === 0) return ok({ value, isMore: true });
    after = next;
  }
  return ok({ value, isMore: true });
};

/**
 * Adds a list up page by page and keeps none of its objects, for clusters that are not ours and may be of any size, or lie about it: no more than
 * `limits.lookObjects` objects and `limits.lookPages` pages are read, however long the server says that there is more. Failures: those of `Cluster.page`; `api-error` (retry)
 * when the list's place is lost again and again.
 */
export const foldList = async <T>(cluster: Cluster, fold: Fold<T>): Promise<Result<Folded<T>>> => {
  for (let go = 0; go <= restartsMax; go += 1) {
    const folded = await foldOnce(cluster, fold);
    if (!folded.ok) return folded;
    if (folded.value !== undefined) return ok(folded.value);
  }
  return fail('retry', 'api-error', `${fold.query.kind} list`, 'The API server lost the place in its list between two pages, again and again.');
};
