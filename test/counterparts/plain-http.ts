import type { Http } from '@groundplane/hub/port/http';

/** Plain fetch, for counterparts on the loopback only. */
export const plainHttp: Http = async ({ method, url, headers, body }) => {
  const answer = await fetch(url, { method, headers, ...(body === undefined ? {} : { body: body as string }), redirect: 'manual' });
  return { ok: true, value: { status: answer.status, headers: Object.fromEntries(answer.headers), body: Buffer.from(await answer.arrayBuffer()) } };
};
