import { useQuery } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { profilesQuery } from '../api/queries.ts';
import { Card } from '../parts/page.tsx';
import { Name } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';

const usedShownMax = 12;

/** How many clusters have this version, and how many another one of the same profile. */
export const useReach = (name: string | undefined, version: string | undefined): { here: number; elsewhere: number } => {
  const { project } = useScope();
  const mine = (useQuery(profilesQuery(project)).data?.items ?? []).filter((row) => row.name === name);
  const here = mine.find((row) => row.version === version)?.clusters ?? 0;
  return { here, elsewhere: mine.reduce((sum, row) => sum + row.clusters, 0) - here };
};

/** Whom a change of this profile reaches. */
export const Affects = ({
  name,
  version,
  usedBy,
}: {
  name: string | undefined;
  version: string | undefined;
  usedBy: readonly string[] | undefined;
}): ReactElement => {
  const { project } = useScope();
  const { here, elsewhere } = useReach(name, version);
  return (
    <Card title={`Affects ${here === 1 ? '1 cluster' : `${here} clusters`}`}>
      <p className="quiet">
        {here === 0
          ? 'No cluster uses this version, so saving it changes nothing that runs.'
          : 'These clusters use this very version and follow it when the draft is saved.'}{' '}
        {elsewhere > 0 && (
          <Link href={paths.clusters(project, `profile:${name ?? ''}`)}>
            {elsewhere === 1 ? '1 cluster uses' : `${elsewhere} clusters use`} other versions of it; they move when they are edited.
          </Link>
        )}
      </p>
      {usedBy !== undefined && usedBy.length > 0 && (
        <ul className="plain">
          {usedBy.slice(0, usedShownMax).map((cluster) => (
            <li key={cluster}>
              <Link href={paths.cluster(project, cluster)}>
                <Name text={cluster} />
              </Link>
            </li>
          ))}
          {usedBy.length > usedShownMax && <li className="quiet">and {usedBy.length - usedShownMax} more</li>}
        </ul>
      )}
    </Card>
  );
};
