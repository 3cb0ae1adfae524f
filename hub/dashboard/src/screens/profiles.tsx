import { useMemo, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { ProfileSummaryView } from '@groundplane/protocol/api/views';
import { profilesQuery } from '../api/queries.ts';
import { filterRows } from '../model/filter.ts';
import { profileSubject } from '../model/subjects.ts';
import { kindTitle } from '../model/tone.ts';
import { compareVersions } from '../model/versions.ts';
import { LinkButton } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { Icon } from '../parts/icon.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Age, Badge, Labels, Name, Tag } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';

const groupsMax = 100;

/** Versions of each profile, newest first; profiles by name. */
export const groupProfiles = (rows: readonly ProfileSummaryView[]): (readonly [string, ProfileSummaryView[]])[] =>
  [...Map.groupBy(rows, (row) => row.name).entries()]
    .map(([name, versions]) => [name, versions.toSorted((a, b) => compareVersions(b.version, a.version))] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));

const Version = ({ row, before }: { row: ProfileSummaryView; before: ProfileSummaryView | undefined }): ReactElement => {
  const { project } = useScope();
  return (
    <tr>
      <td>
        <Link href={paths.profile(project, row.name, row.version)}>
          <Name text={row.version} />
        </Link>
      </td>
      <td>
        <Badge
          tone={row.state === 'released' ? 'good' : 'idle'}
          text={row.state}
          title={row.state === 'released' ? 'Immutable' : 'Can still be edited; no cluster should depend on it'}
        />
      </td>
      <td>
        <span className="layer-line">
          {row.layers.map((layer) => (
            <span
              key={layer.name}
              className={`chip kind-${layer.kind}`}
              title={`${kindTitle[layer.kind]}: ${layer.name}, ${layer.pack.name} ${layer.pack.version}`}
            >
              <bdi>{layer.name}</bdi>
            </span>
          ))}
        </span>
      </td>
      <td className="number">
        {row.clusters === 0 ? (
          <span className="quiet">none</span>
        ) : (
          <Link href={paths.clusters(project, `profile:${row.name}@${row.version}`)}>{row.clusters}</Link>
        )}
      </td>
      <td>
        <Age atMs={row.updatedAtMs} />
      </td>
      <td>{before !== undefined && <Link href={paths.profileDiff(project, row.name, before.version, row.version)}>Diff to {before.version}</Link>}</td>
    </tr>
  );
};

const Group = ({ name, versions }: { name: string; versions: readonly ProfileSummaryView[] }): ReactElement => {
  const newest = versions[0];
  const used = versions.reduce((sum, version) => sum + version.clusters, 0);
  return (
    <section className="card" aria-label={`Profile ${name.slice(0, 80)}`}>
      <header>
        <h2>
          <Name text={name} />
        </h2>
        {newest !== undefined && <Tag>{newest.type}</Tag>}
        <span className="quiet">used by {used === 1 ? '1 cluster' : `${used} clusters`}</span>
        {newest !== undefined && <Labels labels={newest.labels} />}
      </header>
      {newest?.description !== undefined && (
        <p className="quiet">
          <bdi>{newest.description}</bdi>
        </p>
      )}
      <div className="scroll-x" tabIndex={0} role="region" aria-label={`Versions of ${name.slice(0, 80)}`}>
        <table className="versions">
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">State</th>
              <th scope="col">Layers</th>
              <th scope="col" className="number">
                Clusters
              </th>
              <th scope="col">Changed</th>
              <th scope="col">Compare</th>
            </tr>
          </thead>
          <tbody>
            {versions.map((row, index) => (
              <Version key={row.id} row={row} before={versions[index + 1]} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
};

export const Profiles = (): ReactElement => {
  const { project, whyNot } = useScope();
  const profiles = useQuery(profilesQuery(project));
  const [text] = useUrlState('q');
  const all = useMemo(() => profiles.data?.items ?? [], [profiles.data]);
  const rows = useMemo(() => filterRows(all, text, profileSubject), [all, text]);
  const groups = useMemo(() => groupProfiles(rows), [rows]);
  const create = (
    <>
      <LinkButton href={paths.profileImport(project)} why={whyNot('profile.create')}>
        Import
      </LinkButton>
      <LinkButton href={paths.profileCreate(project)} kind="primary" why={whyNot('profile.create')}>
        <Icon name="plus" />
        Create profile
      </LinkButton>
    </>
  );
  return (
    <Page
      title="Profiles"
      tab="Profiles"
      actions={
        <>
          <CopyMenu cli={`gp get profiles --project ${project}`} yaml={() => rows} />
          {create}
        </>
      }
    >
      <Answer of={profiles} what="profiles">
        {(data) =>
          data.items.length === 0 ? (
            <Empty title="No profile yet">
              <p>A profile says what a cluster should be: layers from the operating system up to the add-ons, in versions that never change once released.</p>
              <div className="row">{create}</div>
            </Empty>
          ) : (
            <>
              <FilterBox
                label="Filter profiles"
                hint="name, state:draft, type:addon, is:unused"
                shown={rows.length}
                total={all.length}
                isPartial={!data.complete}
              />
              <div className="stack">
                {groups.slice(0, groupsMax).map(([name, versions]) => (
                  <Group key={name} name={name} versions={versions} />
                ))}
                {groups.length > groupsMax && (
                  <p className="quiet">
                    The first {groupsMax} of {groups.length} profiles are shown. Filter for the others.
                  </p>
                )}
              </div>
            </>
          )
        }
      </Answer>
    </Page>
  );
};
