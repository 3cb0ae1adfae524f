import { useState, type ReactElement } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { ProfileView } from '@groundplane/protocol/api/views';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { notify } from '../parts/notice.tsx';
import { TypedConfirm } from '../parts/typed-confirm.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate } from '../url-state.ts';

export const DeleteProfile = ({ profile }: { profile: ProfileView }): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [isOpen, setIsOpen] = useState(false);
  const { name, version } = profile;
  const remove = useMutation({
    mutationFn: () => ask('deleteProfile', { params: { project, name, version } }),
    onSuccess: async () => {
      notify(`${name} ${version} is deleted`);
      setIsOpen(false);
      navigate(paths.profiles(project));
      await client.invalidateQueries({ queryKey: keys.profiles(project) });
    },
  });
  const used = profile.usedBy.length;
  const why =
    whyNot('profile.delete') ?? (used > 0 ? `${used === 1 ? 'A cluster uses' : `${used} clusters use`} it; move them to another version first.` : undefined);
  return (
    <>
      <Button kind="danger" onClick={() => setIsOpen(true)} why={why}>
        Delete
      </Button>
      <TypedConfirm
        open={isOpen}
        onClose={() => setIsOpen(false)}
        title={`Delete version ${version}`}
        about={<p>Only this version goes; other versions of the profile stay.</p>}
        name={name}
        action="Delete version"
        error={remove.error}
        isPending={remove.isPending}
        onConfirm={() => remove.mutate()}
      />
    </>
  );
};
