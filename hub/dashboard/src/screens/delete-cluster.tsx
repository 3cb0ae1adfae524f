import { useState, type ReactElement } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { ClusterView } from '@groundplane/protocol/api/views';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { notify } from '../parts/notice.tsx';
import { TypedConfirm } from '../parts/typed-confirm.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate } from '../url-state.ts';

const About = ({ cluster }: { cluster: ClusterView }): ReactElement => (
  <p>
    Its {cluster.layersTotal} layers are taken away in reverse order on {cluster.hosts.length === 1 ? 'its host' : `its ${cluster.hosts.length} hosts`}; then it
    is gone. Hosts stay enrolled. Hosts that are offline do it when they return, and until then the cluster stays here as deleting.
  </p>
);

export const DeleteCluster = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [isOpen, setIsOpen] = useState(false);
  const [isForced, setIsForced] = useState(false);
  const remove = useMutation({
    mutationFn: () => ask('deleteCluster', { params: { project, name: cluster.name }, query: isForced ? { force: 'true' } : {} }),
    onSuccess: async () => {
      notify(`${cluster.name} is being deleted`);
      setIsOpen(false);
      navigate(paths.clusters(project));
      await client.invalidateQueries({ queryKey: keys.clusters(project) });
    },
  });
  return (
    <>
      <Button kind="danger" onClick={() => setIsOpen(true)} why={whyNot('cluster.delete')}>
        Delete
      </Button>
      <TypedConfirm
        open={isOpen}
        onClose={() => setIsOpen(false)}
        title="Delete cluster"
        about={<About cluster={cluster} />}
        name={cluster.name}
        action="Delete cluster"
        error={remove.error}
        isPending={remove.isPending}
        onConfirm={() => remove.mutate()}
      >
        <label className="check">
          <input type="checkbox" checked={isForced} onChange={(event) => setIsForced(event.target.checked)} />
          <span>Forget it at once, without waiting for its hosts. What runs on them may stay.</span>
        </label>
      </TypedConfirm>
    </>
  );
};
