import { useMutation } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { ask } from '../api/client.ts';
import { Button } from '../parts/button.tsx';
import { CopyButton } from '../parts/copy.tsx';
import { Card } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';

import { useScope } from '../scope.ts';
import { exactTime } from '../time.ts';

/** The one command that brings the agent into the cluster. It holds a secret, so it is made when somebody asks, and shown once. */
export const ImportAgent = ({ name, isFirst = false }: { name: string; isFirst?: boolean }): ReactElement => {
  const { project, whyNot } = useScope();
  const invite = useMutation({ mutationFn: () => ask('importCluster', { params: { project, name }, body: {} }), gcTime: 0 });
  const { data, error } = invite;
  return (
    <Card title="Agent inside of the cluster">
      <p className="quiet">
        {isFirst && 'The cluster is noted, and waits for its agent. '}One apply in the cluster starts the agent there; the hub needs no way in. One agent may
        come with it, and takes the place of the one before.
      </p>
      <Button onClick={() => invite.mutate()} why={whyNot('cluster.apply') ?? (invite.isPending ? 'It is on its way.' : undefined)}>
        {data === undefined ? 'Show the command' : 'Another command'}
      </Button>
      {data !== undefined && (
        <>
          <pre className="scroll-x" tabIndex={0} aria-label="Command for the cluster">
            kubectl apply -f {data.url}
          </pre>
          <p className="row">
            <CopyButton text={`kubectl apply -f ${data.url}`} label="Copy the command" />
            <CopyButton text={data.manifest} label="Copy the manifest" />
            <span className="quiet">good until an agent has come, or until {exactTime(data.expiresAtMs)}</span>
          </p>
        </>
      )}
      {error !== null && <Problem failure={error} />}
    </Card>
  );
};
