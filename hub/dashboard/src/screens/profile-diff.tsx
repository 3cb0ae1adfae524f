import type { ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { ProfileSummaryView } from '@groundplane/protocol/api/views';
import { ask } from '../api/client.ts';
import { keys, profilesQuery } from '../api/queries.ts';
import { ChosenText, type Change } from '../compare/chosen-text.tsx';
import { RenderedComparison, type Ref } from '../compare/rendered.tsx';
import { compareVersions } from '../model/versions.ts';
import { CopyMenu } from '../parts/copy.tsx';
import { Choice } from '../parts/field.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { Name } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';

const order: readonly Change[] = ['change', 'add', 'remove', 'same'];
const parts = [
  { key: 'layers', text: 'Layers' },
  { key: 'rendered', text: 'Rendered' },
  { key: 'images', text: 'Images' },
] as const;

/** The version before `to`, for an address that names none. */
const before = (versions: readonly string[], to: string): string => versions[versions.indexOf(to) + 1] ?? versions.find((version) => version !== to) ?? '';

const versionsOf = (rows: readonly ProfileSummaryView[], name: string): string[] =>
  rows
    .filter((row) => row.name === name)
    .map((row) => row.version)
    .toSorted((a, b) => compareVersions(b, a));

const comparison = (project: string, from: Ref, to: Ref) => ({
  queryKey: [...keys.profileOf(project, to.name), 'comparison', from, to],
  queryFn: () => ask('compareProfiles', { params: { project }, body: { from, to } }),
  enabled: from.version !== '' && to.version !== '',
});

const options = (values: readonly string[]) => values.map((value) => [value, value] as const);

interface Sides {
  from: Ref;
  to: Ref;
  set: (key: 'with' | 'from' | 'to', value: string) => void;
  rows: readonly ProfileSummaryView[];
}

/** Which two; the name on the left may be another profile's. */
const Choices = ({ from, to, set, rows }: Sides): ReactElement => (
  <div className="compare-choices">
    <Choice
      label="From profile"
      value={from.name}
      options={options([...new Set(rows.map((row) => row.name))].toSorted())}
      commit={(value) => set('with', value)}
    />
    <Choice label="From version" value={from.version} options={options(versionsOf(rows, from.name))} commit={(value) => set('from', value)} />
    <Choice
      label={`To version of ${to.name.slice(0, 60)}`}
      value={to.version}
      options={options(versionsOf(rows, to.name))}
      commit={(value) => set('to', value)}
    />
  </div>
);

/** Both sides out of the address, with what stands to reason where it says nothing. */
const useSides = (name: string, rows: readonly ProfileSummaryView[]): Sides => {
  const [askedTo, setTo] = useUrlState('to');
  const [askedFrom, setFrom] = useUrlState('from');
  const [other, setOther] = useUrlState('with', name);
  const versions = versionsOf(rows, name);
  const to = askedTo === '' ? (versions[0] ?? '') : askedTo;
  const from = askedFrom !== '' ? askedFrom : other === name ? before(versions, to) : (versionsOf(rows, other)[0] ?? '');
  const set: Sides['set'] = (key, value) => {
    if (key === 'to') setTo(value);
    else if (key === 'from') setFrom(value);
    else {
      setOther(value);
      setFrom('');
    }
  };
  return { from: { name: other, version: from }, to: { name, version: to }, set, rows };
};

const ProfileDiff = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  const profiles = useQuery(profilesQuery(project));
  const rows = profiles.data?.items ?? [];
  const sides = useSides(name, rows);
  const { from, to } = sides;
  const [asked, setPart] = useUrlState('tab', 'layers');
  const [layer, setLayer] = useUrlState('layer');
  const part = parts.find((each) => each.key === asked)?.key ?? 'layers';
  const diff = useQuery(comparison(project, from, to));
  const changed = diff.data?.layers.filter((each) => each.change !== 'same').length;
  const isAlone = profiles.data !== undefined && from.version === '';
  const cli =
    from.name === to.name
      ? `gp diff profile ${name} ${from.version} ${to.version} --project ${project}`
      : `gp profile export ${from.name}@${from.version} --format yaml --project ${project} > a.yaml && gp profile export ${to.name}@${to.version} --format yaml --project ${project} > b.yaml && gp profile diff a.yaml b.yaml --rendered`;
  return (
    <Page
      title={
        <>
          Compare <Name text={name} />
        </>
      }
      tab={`Compare ${name}`}
      fill
      note={changed === undefined ? undefined : `${changed} of ${diff.data?.layers.length ?? 0} layers differ`}
      actions={<CopyMenu cli={cli} yaml={diff.data && (() => diff.data)} />}
    >
      <Choices {...sides} />
      <Tabs label="What is compared" tabs={parts} chosen={part} choose={setPart} />
      {isAlone ? (
        <Empty title="There is only one version to compare">
          <p>Choose another profile on the left, or continue this one as a new version.</p>
        </Empty>
      ) : part === 'layers' ? (
        <Answer of={diff} what="the comparison">
          {({ layers }) =>
            layers.length === 0 ? (
              <Empty title="Neither version has a layer" />
            ) : (
              <ChosenText
                title="Layers"
                items={layers.toSorted((a, b) => order.indexOf(a.change) - order.indexOf(b.change)).map((each) => ({ ...each, key: each.name }))}
                wanted={layer}
                choose={setLayer}
                sides={[`${from.name} ${from.version}`, `${to.name} ${to.version}`]}
              />
            )
          }
        </Answer>
      ) : (
        from.version !== '' && to.version !== '' && <RenderedComparison from={from} to={to} show={part} />
      )}
    </Page>
  );
};

export default ProfileDiff;
