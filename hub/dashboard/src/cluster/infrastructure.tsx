import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import type { ClusterView } from '@groundplane/protocol/api/views';
import { environments } from '@groundplane/protocol/environment/environments';
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { ask } from '../api/client.ts';
import { cloudKeys, infrastructureQuery } from '../api/queries-cloud.ts';
import type { Tone } from '../model/tone.ts';
import { Button } from '../parts/button.tsx';
import { Field } from '../parts/field.tsx';
import { notify } from '../parts/notice.tsx';
import { Answer, Card } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Age, Badge, Facts, Name } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { ImportAgent } from './import-agent.tsx';

type PoolView = InfrastructureView['pools'][number];
type MachineView = InfrastructureView['machines'][number];

const stepTone: Readonly<Record<InfrastructureView['steps'][number]['state'], Tone>> = { done: 'good', doing: 'busy', waiting: 'warn', failed: 'bad' };
const healthTone: Readonly<Record<string, Tone>> = { healthy: 'good', starting: 'busy', unknown: 'idle', unhealthy: 'bad', failed: 'bad', lost: 'bad' };

const money = (cost: InfrastructureView['cost']): string | undefined =>
  cost === undefined
    ? undefined
    : `about $${cost.perHour.toFixed(2)} an hour${cost.unknown.length === 0 ? '' : `, without ${cost.unknown.join(', ')}, which the price list does not have`}`;

const Steps = ({ view }: { view: InfrastructureView }): ReactElement => (
  <ol className="conditions">
    {view.steps.map((step) => (
      <li key={step.name}>
        <Badge tone={stepTone[step.state]} text={step.name} />
        <p>
          <bdi>{step.message}</bdi> <span className="quiet">{step.state}, </span>
          <Age atMs={step.sinceMs} />
        </p>
      </li>
    ))}
    {view.steps.length === 0 && <li className="quiet">Nothing has begun yet.</li>}
  </ol>
);

const usePoolChange = (cluster: string) => {
  const { project } = useScope();
  const client = useQueryClient();
  const onSuccess = (view: InfrastructureView): void => {
    client.setQueryData(cloudKeys.infrastructure(project, cluster), view);
    notify('It is on its way');
  };
  const scale = useMutation({
    mutationFn: ({ pool, count }: { pool: string; count: number }) => ask('scalePool', { params: { project, name: cluster, pool }, body: { count } }),
    onSuccess,
  });
  const repave = useMutation({ mutationFn: (pool: string) => ask('repavePool', { params: { project, name: cluster, pool } }), onSuccess });
  return { scale, repave };
};

type PartState = NonNullable<PoolView['parts']>[number]['state'];
const partTones: Readonly<Record<PartState, Tone>> = { ready: 'good', making: 'busy', changing: 'busy', going: 'idle', failed: 'bad' };

const PoolRow = ({ cluster, pool }: { cluster: string; pool: PoolView }): ReactElement => {
  const { whyNot } = useScope();
  const { scale, repave } = usePoolChange(cluster);
  const { min, max } = pool;
  const problem = scale.error ?? repave.error;
  return (
    <li>
      <div className="row">
        <Name text={pool.name} />
        <span className="quiet">
          {pool.role === 'control-plane' ? 'control planes' : 'workers'}, <bdi>{pool.size}</bdi>
        </span>
        <Badge tone={pool.ready === pool.wanted && pool.total === pool.wanted ? 'good' : 'busy'} text={`${pool.ready} of ${pool.wanted} ready`} />
        {pool.version !== undefined && <span className="quiet">{pool.version}</span>}
        {pool.outdated > 0 && <Badge tone="warn" text={`${pool.outdated} of an older generation`} />}
        {!pool.needsApproval && pool.image?.newer !== undefined && (
          <Button
            onClick={() => repave.mutate(pool.name)}
            why={whyNot('cluster.apply') ?? (repave.isPending ? 'It is on its way.' : undefined)}
            label={`Take the newer image: machines of ${pool.name}`}
          >
            Take the newer image
          </Button>
        )}
        {pool.needsApproval && (
          <Button
            kind="primary"
            onClick={() => repave.mutate(pool.name)}
            why={whyNot('cluster.apply') ?? (repave.isPending ? 'It is on its way.' : undefined)}
            label={`Replace them: machines of ${pool.name}`}
          >
            Replace them
          </Button>
        )}
      </div>
      {min !== undefined && max !== undefined && whyNot('cluster.scale') === undefined && (
        <Field
          label={`Machines of ${pool.name}, ${min} to ${max}`}
          type="number"
          value={String(pool.wanted)}
          check={(text) => (/^\d{1,4}$/.test(text) && Number(text) >= min && Number(text) <= max ? undefined : `A number from ${min} to ${max}.`)}
          commit={(text) => scale.mutate({ pool: pool.name, count: Number(text) })}
        />
      )}
      {pool.parts !== undefined && (
        <ul className="plain" aria-label={`Pools of the environment for ${pool.name}`}>
          {pool.parts.map((part) => (
            <li key={part.name} className="row">
              <Name text={part.name} />
              <Badge tone={partTones[part.state]} text={`${part.count} nodes, ${part.state}`} />
              {part.differs.length > 0 && <span className="quiet">is replaced: other {part.differs.join(', ')}</span>}
              {part.message !== undefined && (
                <span className="quiet">
                  <bdi>{part.message}</bdi>
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
      {pool.image !== undefined && (
        <p className="quiet">
          <bdi>{pool.image.name}</bdi> is <bdi>{pool.image.exact}</bdi>
          {pool.image.newer !== undefined && (
            <>
              ; a newer one is there: <bdi>{pool.image.newer}</bdi>
            </>
          )}
        </p>
      )}
      {pool.waits.map((text) => (
        <p key={text} className="quiet">
          <bdi>{text}</bdi>
        </p>
      ))}
      {problem !== null && <Problem failure={problem} />}
    </li>
  );
};

const Machines = ({ machines }: { machines: readonly MachineView[] }): ReactElement => {
  const { project } = useScope();
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label="Machines of the cluster">
      <table>
        <thead>
          <tr>
            <th scope="col">Machine</th>
            <th scope="col">Phase</th>
            <th scope="col">Health</th>
            <th scope="col">Zone</th>
            <th scope="col">Note</th>
          </tr>
        </thead>
        <tbody>
          {machines.map((machine) => (
            <tr key={machine.name}>
              <td>
                {machine.host === undefined ? (
                  <Name text={machine.name} />
                ) : (
                  <Link href={paths.host(project, machine.host)}>
                    <Name text={machine.name} />
                  </Link>
                )}
              </td>
              <td title={machine.reason}>
                {machine.phase}
                {machine.outdated ? ', older' : ''}
              </td>
              <td>
                {machine.health === undefined ? (
                  <span className="quiet">not known yet</span>
                ) : (
                  <Badge tone={healthTone[machine.health] ?? 'idle'} text={machine.health} />
                )}
              </td>
              <td>
                <bdi>{machine.zone ?? ''}</bdi>
              </td>
              <td>
                <bdi className="quiet">{machine.message ?? machine.instance ?? ''}</bdi>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
};

const Shown = ({ cluster, view }: { cluster: string; view: InfrastructureView }): ReactElement => (
  <>
    <Card title={`Infrastructure in ${environments[view.environment].title}`}>
      <Steps view={view} />
      {view.notices.map((text) => (
        <p key={text} role="note">
          <Badge tone="warn" text="soon" /> <bdi>{text}</bdi>
        </p>
      ))}
      <Facts
        rows={[
          ['Account', view.account === '' ? 'none: the agent is inside and needs no way in' : <Name key="a" text={view.account} />],
          ['API server', view.endpoint === undefined ? view.server : `${view.endpoint.host}:${view.endpoint.port}`],
          ['Cost', money(view.cost)],
          ['Protected', view.protected ? 'yes: deleting it is refused' : undefined],
        ]}
      />
    </Card>
    {view.pools.length > 0 && (
      <Card title="Pools">
        <ul className="plain">
          {view.pools.map((pool) => (
            <PoolRow key={pool.name} cluster={cluster} pool={pool} />
          ))}
        </ul>
      </Card>
    )}
    {view.machines.length > 0 && (
      <Card title={`Machines (${view.machines.length})`}>
        <Machines machines={view.machines} />
      </Card>
    )}
  </>
);

/** What a cluster is made of, where the hub makes it. */
const Infrastructure = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const { project } = useScope();
  const { name } = cluster;
  const infrastructure = useQuery(infrastructureQuery(project, name));
  return (
    <Answer of={infrastructure} what="the infrastructure">
      {(view) => (
        <>
          <Shown cluster={name} view={view} />
          {cluster.spec.infrastructure?.placement['agent'] === 'inside' && <ImportAgent name={name} />}
        </>
      )}
    </Answer>
  ) as ReactElement;
};

export default Infrastructure;
