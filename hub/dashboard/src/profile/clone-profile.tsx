import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ProfileView } from '@groundplane/protocol/api/views';
import { useState, type ReactElement, type SyntheticEvent } from 'react';
import { ask } from '../api/client.ts';
import { keys, projectsQuery } from '../api/queries.ts';
import { whyNot } from '../model/allowed.ts';
import { isName, nameRule } from '../model/names.ts';
import { nextPatch } from '../model/versions.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Choice } from '../parts/field.tsx';
import { notify } from '../parts/notice.tsx';
import { Problem } from '../parts/problem.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate } from '../url-state.ts';

const isVersion = (text: string): boolean => /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/.test(text);

export const CloneProfile = ({ profile, onClose }: { profile: ProfileView; onClose: () => void }): ReactElement => {
  const { project, who } = useScope();
  const client = useQueryClient();
  const projects = useQuery(projectsQuery()).data ?? [];
  const [target, setTarget] = useState(project);
  const [name, setName] = useState(profile.name);
  const [version, setVersion] = useState(nextPatch(profile.version));
  const clone = useMutation({
    mutationFn: () =>
      ask('cloneProfile', { params: { project, name: profile.name, version: profile.version }, body: { project: target, name, version, draft: true } }),
    onSuccess: async (made) => {
      notify(`${made.name} ${made.version} is a copy`);
      onClose();
      navigate(paths.profile(target, made.name, made.version));
      await client.invalidateQueries({ queryKey: keys.profiles(target) });
    },
  });
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    clone.mutate();
  };
  const why =
    whyNot(who, 'profile.create', target) ??
    (!isName(name) ? `The name ${nameRule}.` : !isVersion(version) ? 'A version is like 1.4.0.' : clone.isPending ? 'It is on its way.' : undefined);
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Clone ${profile.name} ${profile.version}`}
      about={<p>The copy is a draft. Where a project has the same name and version already, another one is needed.</p>}
    >
      <form onSubmit={submit}>
        <Choice label="Into project" value={target} options={projects.map((each) => [each.name, each.name] as const)} commit={setTarget} />
        <div className="two">
          <label>
            Name
            <input value={name} spellCheck={false} onChange={(event) => setName(event.target.value)} />
          </label>
          <label>
            Version
            <input value={version} spellCheck={false} onChange={(event) => setVersion(event.target.value)} />
          </label>
        </div>
        {clone.error !== null && <Problem failure={clone.error} />}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" why={why}>
            Clone
          </Button>
        </div>
      </form>
    </Dialog>
  );
};
