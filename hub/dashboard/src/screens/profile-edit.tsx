import type { EditorView } from '@codemirror/view';
import { profileDocumentSchema } from '@groundplane/protocol/profile';
import { useDeferredValue, useMemo, useState, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { stringify } from 'yaml';
import type { ProfileView } from '@groundplane/protocol/api/views';
import { profileQuery, profilesQuery } from '../api/queries.ts';
import { setValue } from '../edit/change-document.ts';
import { checkDocument } from '../edit/check-document.ts';
import { ProblemList } from '../edit/problem-list.tsx';
import { SaveProfile } from '../edit/save-profile.tsx';
import { StackPreview } from '../edit/stack-preview.tsx';
import { profileStarter } from '../edit/starters.ts';
import { useLeaveGuard } from '../edit/leave-guard.ts';
import { jumpTo, YamlEditor } from '../edit/yaml-editor.tsx';
import { profileDocument } from '../model/documents.ts';
import { compareVersions, nextPatch } from '../model/versions.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { Answer, Card, Page } from '../parts/page.tsx';
import { Badge, Name } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { DeleteProfile } from './delete-profile.tsx';

const usedShownMax = 12;

/** Whom a change of this profile reaches. */
const Affects = ({ name, version, usedBy }: { name: string | undefined; version: string | undefined; usedBy: readonly string[] | undefined }): ReactElement => {
  const { project } = useScope();
  const all = useQuery(profilesQuery(project)).data?.items ?? [];
  const mine = all.filter((row) => row.name === name);
  const here = mine.find((row) => row.version === version)?.clusters ?? 0;
  const elsewhere = mine.reduce((sum, row) => sum + row.clusters, 0) - here;
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

const useVersionState = (name: string | undefined, version: string | undefined): { state: 'draft' | 'released' | undefined; newest: string | undefined } => {
  const { project } = useScope();
  const mine = (useQuery(profilesQuery(project)).data?.items ?? []).filter((row) => row.name === name);
  return {
    state: mine.find((row) => row.version === version)?.state,
    newest: mine
      .map((row) => row.version)
      .toSorted(compareVersions)
      .at(-1),
  };
};

const textOf = (profile: ProfileView): string => stringify(profileDocument(profile), { lineWidth: 0 });

/** The text of the editor over what the hub has. A newer text from the hub replaces the old one, but never what somebody has typed. */
const useDraft = (
  latest: string,
): { text: string; setText: (text: string) => void; isChanged: boolean; isOvertaken: boolean; adopt: (text: string) => void } => {
  const [base, setBase] = useState(latest);
  const [text, setText] = useState(latest);
  const isChanged = text !== base;
  const adopt = (next: string): void => {
    setBase(next);
    setText(next);
  };
  if (latest !== base && !isChanged) adopt(latest);
  useLeaveGuard(isChanged);
  return { text, setText, isChanged, isOvertaken: latest !== base && isChanged, adopt };
};

const Editing = ({ latest, profile }: { latest: string; profile: ProfileView | undefined }): ReactElement => {
  const { project } = useScope();
  const { text, setText, isChanged, isOvertaken, adopt } = useDraft(latest);
  const [view, setView] = useState<EditorView | null>(null);
  const calm = useDeferredValue(text);
  const checked = useMemo(() => checkDocument(calm, profileDocumentSchema), [calm]);
  const name = checked.value?.metadata.name ?? profile?.name;
  const version = checked.value?.metadata.version ?? profile?.version;
  const { state, newest } = useVersionState(name, version);
  const next = nextPatch(newest ?? version ?? '1.0.0');
  const title =
    profile === undefined ? (
      'Create profile'
    ) : (
      <>
        <Name text={profile.name} /> <Name text={profile.version} />
        <Badge tone={profile.state === 'released' ? 'good' : 'idle'} text={profile.state} />
      </>
    );
  const actions = (
    <>
      {profile !== undefined && (
        <CopyMenu cli={`gp get profile ${profile.name} --version ${profile.version} --project ${project}`} yaml={() => profileDocument(profile)} />
      )}
      {profile !== undefined && <LinkButton href={paths.profileDiff(project, profile.name, '', profile.version)}>Diff</LinkButton>}
      {profile !== undefined && <DeleteProfile profile={profile} />}
      <SaveProfile
        document={checked.value}
        problems={checked.problems.length}
        versionState={state}
        next={next}
        isUnchanged={!isChanged && profile !== undefined}
        onSaved={(saved) => adopt(textOf(saved))}
      />
    </>
  );
  return (
    <Page title={title} tab={profile === undefined ? 'Create profile' : `${profile.name} ${profile.version}`} fill actions={actions}>
      {isOvertaken && (
        <p className="note row" role="alert">
          <span>The hub has a newer text of this draft. Saving yours replaces it.</span>
          <Button onClick={() => adopt(latest)}>Load the newer text</Button>
        </p>
      )}
      {state === 'released' && (
        <p className="note row">
          <span>{version} is released and never changes. A change needs a version of its own.</span>
          <Button onClick={() => setText(setValue(text, ['metadata', 'version'], next))}>Continue as {next}</Button>
        </p>
      )}
      <div className="edit-columns">
        <YamlEditor label="Profile as YAML" text={text} problems={checked.problems} onChange={setText} view={view} onView={setView} />
        <div className="stack side">
          <Card title={checked.problems.length === 0 ? 'Checks' : `Problems (${checked.problems.length})`}>
            <ProblemList problems={checked.problems} jump={(problem) => jumpTo(view, problem.from)} />
          </Card>
          <Card title="Layers">
            <StackPreview raw={checked.raw} />
          </Card>
          <Affects name={name} version={version} usedBy={profile?.version === version ? profile?.usedBy : undefined} />
        </div>
      </div>
    </Page>
  );
};

const Existing = ({ name, version }: { name: string; version: string }): ReactElement => {
  const { project } = useScope();
  const profile = useQuery(profileQuery(project, name, version));
  if (profile.data === undefined) {
    return (
      <Page
        title={
          <>
            <Name text={name} /> {version}
          </>
        }
        tab={name}
      >
        <Answer of={profile} what="the profile">
          {() => null}
        </Answer>
      </Page>
    );
  }
  return <Editing latest={textOf(profile.data)} profile={profile.data} />;
};

const ProfileEdit = ({ of }: { of: { name: string; version: string } | undefined }): ReactElement =>
  of === undefined ? <Editing latest={profileStarter} profile={undefined} /> : <Existing name={of.name} version={of.version} />;

export default ProfileEdit;
