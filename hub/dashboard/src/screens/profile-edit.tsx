import { isRecord } from '@groundplane/protocol/record';
import type { EditorView } from '@codemirror/view';
import { profileDocumentSchema, type Variable } from '@groundplane/protocol/profile';
import { useDeferredValue, useMemo, useState, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { stringify } from 'yaml';
import type { ProfileView } from '@groundplane/protocol/api/views';
import { profileQuery, profilesQuery } from '../api/queries.ts';
import { readText, setValue } from '../edit/change-document.ts';
import { checkDocument, type Checked } from '../edit/check-document.ts';
import { ProblemList } from '../edit/problem-list.tsx';
import { SaveProfile } from '../edit/save-profile.tsx';
import { profileStarter } from '../edit/starters.ts';
import { useLeaveGuard } from '../edit/leave-guard.ts';
import { jumpTo, YamlEditor } from '../edit/yaml-editor.tsx';
import { profileDocument } from '../model/documents.ts';
import { compareVersions, nextPatch } from '../model/versions.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { Answer, Card, Page } from '../parts/page.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { Badge, Name } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { AboutPart } from '../profile/about-part.tsx';
import { Affects } from '../profile/affects.tsx';
import { CloneProfile } from '../profile/clone-profile.tsx';
import { DraftScope, type Draft } from '../profile/draft.ts';
import { ImportProfile } from '../profile/import-profile.tsx';
import { LayerEditor } from '../profile/layer-editor.tsx';
import { sketchLayers, textIn } from '../profile/layers.ts';
import { PreviewPart } from '../profile/preview-part.tsx';
import { Stack } from '../profile/stack.tsx';
import { TransferMenu } from '../profile/transfer-menu.tsx';
import { variablesOf, VariablesPart } from '../profile/variables-part.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';
import { DeleteProfile } from './delete-profile.tsx';

type ProfileDocument = NonNullable<Checked<ReturnType<typeof profileDocumentSchema.parse>>['value']>;

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

const textOf = (profile: ProfileView): string => stringify(profileDocument(profile), { lineWidth: 0, blockQuote: 'literal' });

/** The text of the editor over what the hub has. A newer text from the hub replaces the old one, but never what somebody has typed. */
const useEdited = (latest: string) => {
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

/** The document's data at once while it is edited; mistakes leave the last data that could be read. */
const useDraft = (text: string, change: Draft['change']): { draft: Draft; isReadable: boolean } => {
  const read = useMemo(() => readText(text), [text]);
  const [held, setHeld] = useState<unknown>(read);
  const isReadable = isRecord(read);
  if (isReadable && read !== held) setHeld(read);
  const raw = isReadable ? read : held;
  const draft = useMemo(
    (): Draft => ({
      text,
      raw,
      layers: sketchLayers(raw),
      change,
      variables: variablesOf(raw).map(({ name, raw: variable }) => ({
        name,
        sensitive: variable['sensitive'] === true,
        required: variable['required'] === true,
        default: textIn(variable, 'default'),
        format: textIn(variable, 'format') ?? ('string' satisfies Variable['format']),
        options: Array.isArray(variable['options']) ? variable['options'].flatMap((option) => textIn(option, 'value') ?? []) : [],
      })),
    }),
    [text, raw, change],
  );
  return { draft, isReadable };
};

const parts = [
  { key: 'layers', text: 'Layers' },
  { key: 'variables', text: 'Variables' },
  { key: 'about', text: 'About' },
  { key: 'yaml', text: 'YAML' },
] as const;
type Part = (typeof parts)[number]['key'];

interface MainProps {
  part: Part;
  draft: Draft;
  checked: Checked<ProfileDocument>;
  view: EditorView | null;
  onView: (view: EditorView | null) => void;
  setText: (text: string) => void;
}

const LayersPart = ({ draft }: { draft: Draft }): ReactElement => {
  const [wanted, setWanted] = useUrlState('layer');
  const chosen =
    draft.layers.find((layer) => layer.name === wanted) ??
    draft.layers.find((layer) => layer.source !== 'os' && layer.source !== 'kubernetes') ??
    draft.layers[0];
  return (
    <div className="stack-columns">
      <Stack chosen={chosen} choose={setWanted} />
      {chosen !== undefined && <LayerEditor key={`${chosen.index}/${draft.layers.length}`} layer={chosen} />}
    </div>
  );
};

const Main = ({ part, draft, checked, view, onView, setText }: MainProps): ReactElement => {
  if (part === 'layers') return <LayersPart draft={draft} />;
  if (part === 'variables') return <VariablesPart />;
  if (part === 'about') return <AboutPart />;
  return <YamlEditor label="Profile as YAML" text={draft.text} problems={checked.problems} onChange={setText} view={view} onView={onView} />;
};

const Title = ({ profile }: { profile: ProfileView | undefined }): ReactElement =>
  profile === undefined ? (
    <>Create profile</>
  ) : (
    <>
      <Name text={profile.name} /> <Name text={profile.version} />
      <Badge tone={profile.state === 'released' ? 'good' : 'idle'} text={profile.state} />
    </>
  );

interface ActionsProps {
  profile: ProfileView | undefined;
  document: ProfileDocument | undefined;
  text: string;
  replace: (text: string) => void;
  children: ReactElement;
}

const Actions = ({ profile, document, text, replace, children }: ActionsProps): ReactElement => {
  const { project } = useScope();
  const [open, setOpen] = useUrlState('open');
  const close = (): void => setOpen('');
  return (
    <>
      {profile !== undefined && (
        <CopyMenu cli={`gp get profile ${profile.name}@${profile.version} --project ${project}`} yaml={() => profileDocument(profile)} />
      )}
      <TransferMenu document={document} text={text} openImport={() => setOpen('import')} openClone={profile && (() => setOpen('clone'))} />
      {profile !== undefined && <LinkButton href={paths.profileDiff(project, profile.name, '', profile.version)}>Diff</LinkButton>}
      {profile !== undefined && <DeleteProfile profile={profile} />}
      {children}
      {open === 'import' && <ImportProfile onClose={close} take={replace} />}
      {open === 'clone' && profile !== undefined && <CloneProfile profile={profile} onClose={close} />}
    </>
  );
};

const Editing = ({ latest, profile }: { latest: string; profile: ProfileView | undefined }): ReactElement => {
  const { text, setText, isChanged, isOvertaken, adopt } = useEdited(latest);
  const { draft, isReadable } = useDraft(text, setText);
  const [view, setView] = useState<EditorView | null>(null);
  const [asked, setPart] = useUrlState('tab', 'layers');
  const part: Part = !isReadable ? 'yaml' : (parts.find((each) => each.key === asked)?.key ?? 'layers');
  const calm = useDeferredValue(text);
  const checked = useMemo(() => checkDocument(calm, profileDocumentSchema), [calm]);
  const document = calm === text ? checked.value : undefined;
  const name = checked.value?.metadata.name ?? profile?.name;
  const version = checked.value?.metadata.version ?? profile?.version;
  const { state, newest } = useVersionState(name, version);
  const next = nextPatch(newest ?? version ?? '1.0.0');
  const whyNotRead = isReadable ? undefined : 'The YAML has a mistake; mend it first.';
  return (
    <Page
      title={<Title profile={profile} />}
      tab={profile === undefined ? 'Create profile' : `${profile.name} ${profile.version}`}
      fill
      actions={
        <Actions profile={profile} document={document} text={text} replace={setText}>
          <SaveProfile
            document={checked.value}
            readLast={() => checkDocument(text, profileDocumentSchema).value}
            problems={checked.problems.length}
            versionState={state}
            next={next}
            isUnchanged={!isChanged && profile !== undefined}
            onSaved={(saved) => adopt(textOf(saved))}
          />
        </Actions>
      }
    >
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
      <Tabs
        label="Parts of the profile"
        tabs={parts.map((each) => ({ ...each, why: each.key === 'yaml' ? undefined : whyNotRead }))}
        chosen={part}
        choose={setPart}
      />
      <DraftScope value={draft}>
        <div className="edit-columns profile-columns">
          <Main part={part} draft={draft} checked={checked} view={view} onView={setView} setText={setText} />
          <div className="stack side">
            <Card title={checked.problems.length === 0 ? 'Checks' : `Problems (${checked.problems.length})`}>
              <ProblemList problems={checked.problems} jump={(problem) => (part === 'yaml' ? jumpTo(view, problem.from) : setPart('yaml'))} />
            </Card>
            <PreviewPart name={name} spec={document?.spec} text={text} />
            <Affects name={name} version={version} usedBy={profile?.version === version ? profile?.usedBy : undefined} />
          </div>
        </div>
      </DraftScope>
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
