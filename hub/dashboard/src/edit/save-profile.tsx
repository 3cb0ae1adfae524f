import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { profileDocumentSchema } from '@groundplane/protocol/profile';
import type { ProfileView } from '@groundplane/protocol/api/views';
import { useState, type ReactElement } from 'react';
import type { z } from 'zod';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { notify } from '../parts/notice.tsx';
import { Problem } from '../parts/problem.tsx';
import { paths } from '../paths.ts';
import { useReach } from '../profile/affects.tsx';
import { useScope } from '../scope.ts';
import { navigate } from '../url-state.ts';

type ProfileDocument = z.output<typeof profileDocumentSchema>;

interface SaveProfileProps {
  /** Absent while the text has problems. */
  document: ProfileDocument | undefined;
  /** The document of the very last text: checking runs a moment behind the typing. */
  readLast: () => ProfileDocument | undefined;
  problems: number;
  /** State of the version that the text names, when the hub has it already. */
  versionState: 'draft' | 'released' | undefined;
  next: string;
  isUnchanged: boolean;
  onSaved: (saved: ProfileView) => void;
}

const reason = ({ document, problems, versionState, next }: SaveProfileProps, project: string): string | undefined => {
  if (document === undefined) return problems === 1 ? 'Fix the problem first.' : `Fix the ${problems} problems first.`;
  if (document.metadata.project !== undefined && document.metadata.project !== project)
    return `The document is of project ${document.metadata.project}; switch to it or take metadata.project out.`;
  if (versionState === 'released') return `${document.metadata.version} is released and never changes. Set metadata.version, for example to ${next}.`;
  return undefined;
};

const clusters = (count: number): string => (count === 1 ? '1 cluster' : `${count} clusters`);

/** Whom a release reaches, in words. */
const reachText = (here: number, elsewhere: number): string => {
  if (here + elsewhere === 0) return 'No cluster uses an earlier version.';
  const now = here === 0 ? [] : [`${clusters(here)} with this version`];
  const later = elsewhere === 0 ? [] : [`${clusters(elsewhere)} with other versions, when edited`];
  return `Affects ${clusters(here + elsewhere)}: ${[...now, ...later].join(', and ')}.`;
};

/** Save as draft, and release: two rights, and the second cannot be taken back. */
export const SaveProfile = (props: SaveProfileProps): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [isAsking, setIsAsking] = useState(false);
  const { document } = props;
  const save = useMutation({
    mutationFn: async ({ of, release }: { of: ProfileDocument; release: boolean }) => {
      const { name, version, labels } = of.metadata;
      const params = { project, name, version };
      const saved = await ask('applyProfile', { params, body: { spec: of.spec, draft: true, ...(labels === undefined ? {} : { labels }) } });
      return release ? ask('releaseProfile', { params }) : saved;
    },
    onSuccess: async (saved) => {
      setIsAsking(false);
      notify(`${saved.name} ${saved.version} is ${saved.state === 'released' ? 'released' : 'saved as a draft'}`);
      client.setQueryData(keys.profile(project, saved.name, saved.version), saved);
      props.onSaved(saved);
      navigate(paths.profile(project, saved.name, saved.version) + location.search, { replace: true });
      await client.invalidateQueries({ queryKey: keys.profiles(project) });
    },
  });
  const start = (release: boolean): void => {
    const last = props.readLast();
    if (last !== undefined) save.mutate({ of: last, release });
  };
  const { here, elsewhere } = useReach(document?.metadata.name, document?.metadata.version);
  const reach = reachText(here, elsewhere);
  const waits = save.isPending ? 'It is on its way.' : undefined;
  const why = whyNot('profile.create') ?? reason(props, project) ?? waits;
  const draftWhy = why ?? (props.isUnchanged ? 'Nothing is changed yet.' : undefined);
  const title = document === undefined ? '' : `${document.metadata.name} ${document.metadata.version}`;
  return (
    <>
      <Button onClick={() => start(false)} why={draftWhy}>
        Save as draft
      </Button>
      <Button kind="primary" onClick={() => setIsAsking(true)} why={whyNot('profile.release') ?? why}>
        Release
      </Button>
      <Dialog open={save.error !== null && !isAsking} onClose={() => save.reset()} title="Not saved">
        {save.error !== null && <Problem failure={save.error} />}
      </Dialog>
      <Dialog
        open={isAsking}
        onClose={() => setIsAsking(false)}
        title="Release"
        about={
          <p>
            {title} never changes after this; clusters may use it. {reach}
          </p>
        }
      >
        {save.error !== null && <Problem failure={save.error} />}
        <div className="row end">
          <Button onClick={() => setIsAsking(false)}>Cancel</Button>
          <Button kind="primary" onClick={() => start(true)} why={waits}>
            Release it
          </Button>
        </div>
      </Dialog>
    </>
  );
};
