import { useState, type ReactElement, type SyntheticEvent } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { WhoView } from '@groundplane/protocol/api/views';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { whyNot } from '../model/allowed.ts';
import { isName, nameRule } from '../model/names.ts';
import { Button } from '../parts/button.tsx';
import { useTitle } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { paths } from '../paths.ts';
import { navigate } from '../url-state.ts';
import { Gate } from './gate.tsx';

/** Shown while there is no project that I can see. */
export const NewProject = ({ who }: { who: WhoView }): ReactElement => {
  useTitle('First project');
  const client = useQueryClient();
  const [name, setName] = useState('default');
  const create = useMutation({
    mutationFn: () => ask('createProject', { body: { name } }),
    onSuccess: async (project) => {
      await client.invalidateQueries({ queryKey: keys.projects });
      navigate(paths.fleet(project.name));
    },
  });
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    create.mutate();
  };
  const why = whyNot(who, 'project.create', undefined) ?? (isName(name) ? undefined : `The name ${nameRule}.`);
  return (
    <Gate title="Your first project" note="Clusters, hosts and profiles live in a project, and so do the rights to them.">
      <form onSubmit={submit}>
        <label>
          Name
          <input name="project" required value={name} onChange={(event) => setName(event.target.value)} />
        </label>
        {create.error !== null && <Problem failure={create.error} />}
        <Button type="submit" kind="primary" why={why}>
          Create the project
        </Button>
      </form>
    </Gate>
  );
};
