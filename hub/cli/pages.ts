import type { ApiResult } from '@groundplane/protocol/api/client';
import { fail } from '@groundplane/protocol/failure';

const pagesMax = 10_000;
const pageItems = 500;

/** All items of a list, page by page. A hub that names the same page twice is stopped, as is one that never ends. */
export const everyPage = async <T>(
  read: (page: { limit: number; after?: string }) => Promise<ApiResult<{ items: T[]; next?: string | undefined }>>,
): Promise<ApiResult<T[]>> => {
  const items: T[] = [];
  let after: string | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    const answer = await read({ limit: pageItems, ...(after === undefined ? {} : { after }) });
    if (!answer.ok) return answer;
    for (const item of answer.value.items) items.push(item);
    const { next } = answer.value;
    if (next === undefined) return { ok: true, value: items };
    if (next === after) break;
    after = next;
  }
  return { ok: false, failure: { ...fail('fatal', 'pages-endless', 'hub', 'its list does not come to an end').failure, status: 0 } };
};
