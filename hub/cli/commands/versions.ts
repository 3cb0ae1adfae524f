import type { ApiResult } from '@groundplane/protocol/api/client';
import type { Connection } from '../connect.ts';
import { everyPage } from '../pages.ts';

/** The highest version of a profile by semver precedence; undefined when there is none. */
export const newestVersion = async (connection: Connection, project: string, name: string): Promise<ApiResult<string | undefined>> => {
  const { default: semver } = await import('semver');
  const all = await everyPage((query) => connection.client.call('listProfiles', { params: { project }, query: { ...query, name } }));
  if (!all.ok) return all;
  return { ok: true, value: all.value.map((item) => item.version).toSorted((a, b) => semver.compareBuild(b, a))[0] };
};
