import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { openStackLimits } from './limits.ts';
import type { Ask, Session } from './session.ts';

const linksSchema = z.array(z.object({ rel: z.string(), href: z.string() }));

/** Query of the next page: nova and neutron link it as `<key>_links`, glance as `next`. Only the query is used: the link may name another host, and our token goes nowhere else. */
const nextQuery = (body: Record<string, unknown>, key: string): Record<string, string> | undefined => {
  const links = linksSchema.safeParse(body[`${key}_links`]);
  const href = links.success ? links.data.find((link) => link.rel === 'next')?.href : body['next'];
  if (typeof href !== 'string') return undefined;
  const url = URL.parse(href, 'http://cloud.invalid');
  return url === null || url.search === '' ? undefined : Object.fromEntries(url.searchParams);
};

/** A whole list, however many pages. Items that are not of this shape are a failure: half a list would make things twice. */
export const listAll = async <S extends z.ZodType>(
  session: Session,
  ask: Omit<Ask, 'method'>,
  key: string,
  schema: S,
  region?: string,
): Promise<Result<z.infer<S>[]>> => {
  const element = `OpenStack ${ask.service} GET ${ask.path}`;
  const found: z.infer<S>[] = [];
  const seen = new Set<string>();
  let query = ask.query;
  for (let page = 0; page < openStackLimits.pages; page += 1) {
    const answer = await session.call({ ...ask, method: 'GET', query }, region);
    if (!answer.ok) return answer;
    const items = z.array(schema).safeParse(answer.value.body[key]);
    if (!items.success)
      return fail('retry', 'cloud-failed', element, `"${key}" of the answer is not understood: ${z.prettifyError(items.error).slice(0, 300)}`);
    found.push(...items.data);
    if (found.length > openStackLimits.items) return fail('fatal', 'answer-too-large', element, `there are more than ${openStackLimits.items} ${key}`);
    query = nextQuery(answer.value.body, key);
    if (query === undefined || items.data.length === 0) return ok(found);
    const mark = JSON.stringify(query);
    if (seen.has(mark)) return fail('retry', 'cloud-failed', element, 'its pages go round in a circle');
    seen.add(mark);
  }
  return fail('fatal', 'answer-too-large', element, `there are more than ${openStackLimits.pages} pages`);
};

/** The thing in an answer that says what was made. */
export const oneOf = <S extends z.ZodType>(body: Record<string, unknown>, key: string, schema: S, element: string): Result<z.infer<S>> => {
  const parsed = schema.safeParse(body[key]);
  return parsed.success ? ok(parsed.data) : fail('retry', 'cloud-failed', element, `"${key}" of the answer is not understood`);
};
