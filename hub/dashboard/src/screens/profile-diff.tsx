import type { ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { ProfileDiffView, ProfileSummaryView } from '@groundplane/protocol/api/views';
import { profileDiffQuery, profilesQuery } from '../api/queries.ts';
import { SideBySide } from '../edit/side-by-side.tsx';
import type { Tone } from '../model/tone.ts';
import { compareVersions } from '../model/versions.ts';
import { CopyMenu } from '../parts/copy.tsx';
import { Answer, Card, Empty, Page } from '../parts/page.tsx';
import { Badge, Name } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';

type LayerDiff = ProfileDiffView['layers'][number];
const changeTone: Readonly<Record<LayerDiff['change'], Tone>> = { add: 'good', change: 'warn', remove: 'bad', same: 'idle' };
const order: readonly LayerDiff['change'][] = ['change', 'add', 'remove', 'same'];

const Choice = ({ label, value, set, versions }: { label: string; value: string; set: (value: string) => void; versions: readonly string[] }): ReactElement => (
  <label className="inline">
    {label}
    <select value={value} onChange={(event) => set(event.target.value)}>
      {!versions.includes(value) && <option value={value}>{value === '' ? 'choose' : value}</option>}
      {versions.map((version) => (
        <option key={version}>{version}</option>
      ))}
    </select>
  </label>
);

const Layers = ({ diff }: { diff: ProfileDiffView }): ReactElement => {
  const layers = diff.layers.toSorted((a, b) => order.indexOf(a.change) - order.indexOf(b.change));
  const [wanted, setWanted] = useUrlState('layer');
  const chosen = layers.find((layer) => layer.name === wanted) ?? layers[0];
  if (chosen === undefined) return <Empty title="Neither version has a layer" />;
  return (
    <div className="diff-columns">
      <Card title="Layers">
        <ul className="diff-layers">
          {layers.map((layer) => (
            <li key={layer.name}>
              <button type="button" className="button quiet" aria-pressed={layer === chosen} onClick={() => setWanted(layer.name)}>
                <Badge tone={changeTone[layer.change]} text={layer.change} />
                <Name text={layer.name} />
              </button>
            </li>
          ))}
        </ul>
      </Card>
      <section className="card merge-card" aria-label={`Layer ${chosen.name.slice(0, 80)}`}>
        <header className="merge-head">
          <h2>
            <Name text={diff.from} />
          </h2>
          <h2>
            <Name text={diff.to} />
          </h2>
        </header>
        <SideBySide before={chosen.before} after={chosen.after} labels={[`${chosen.name} in ${diff.from}`, `${chosen.name} in ${diff.to}`]} />
      </section>
    </div>
  );
};

/** The version before `to`, for an address that names none. */
const before = (versions: readonly string[], to: string): string => versions[versions.indexOf(to) + 1] ?? versions.find((version) => version !== to) ?? '';

const versionsOf = (rows: readonly ProfileSummaryView[], name: string): string[] =>
  rows
    .filter((row) => row.name === name)
    .map((row) => row.version)
    .toSorted((a, b) => compareVersions(b, a));

const ProfileDiff = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  const profiles = useQuery(profilesQuery(project));
  const versions = versionsOf(profiles.data?.items ?? [], name);
  const [askedTo, setTo] = useUrlState('to');
  const [askedFrom, setFrom] = useUrlState('from');
  const to = askedTo === '' ? (versions[0] ?? '') : askedTo;
  const from = askedFrom === '' ? before(versions, to) : askedFrom;
  const diff = useQuery(profileDiffQuery(project, name, from, to));
  const changed = diff.data?.layers.filter((layer) => layer.change !== 'same').length;
  const choices = (
    <>
      <Choice label="From" value={from} set={setFrom} versions={versions} />
      <Choice label="to" value={to} set={setTo} versions={versions} />
      <CopyMenu cli={`gp diff profile ${name} ${from} ${to} --project ${project}`} yaml={diff.data && (() => diff.data)} />
    </>
  );
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
      actions={choices}
    >
      {profiles.data !== undefined && versions.length < 2 && from === '' ? (
        <Empty title="There is only one version to compare" />
      ) : (
        <Answer of={diff} what="the comparison">
          {(data) => <Layers diff={data} />}
        </Answer>
      )}
    </Page>
  );
};

export default ProfileDiff;
