import { lazy, Suspense, type ReactElement } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { clusterStates } from '@groundplane/protocol/cluster-state';
import { applierWords } from '@groundplane/protocol/observed';
import type { ClusterView } from '@groundplane/protocol/api/views';
import { ask } from '../api/client.ts';
import { clusterQuery, eventsQuery, keys } from '../api/queries.ts';
import { clusterDocument } from '../model/documents.ts';
import { shortDigest } from '../model/names.ts';
import { clusterTone, phaseTone, type Tone } from '../model/tone.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { EventList } from '../parts/event-list.tsx';
import { Icon } from '../parts/icon.tsx';
import { LayerStack } from '../parts/layer-stack.tsx';
import { notify } from '../parts/notice.tsx';
import { Answer, Card, Loading, Page } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Age, Badge, Facts, Labels, Name, Presence, Simulated } from '../parts/text.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';
import { DeleteCluster } from './delete-cluster.tsx';
import { Generation } from './hosts.tsx';

// Both bring the editor or the YAML library.
const ClusterValues = lazy(() => import('../cluster/values.tsx'));
const Infrastructure = lazy(() => import('../cluster/infrastructure.tsx'));
const ClusterTopology = lazy(() => import('../cluster/topology.tsx'));
const ClusterImages = lazy(() => import('../cluster/images.tsx'));

const parts = [
  { key: 'overview', text: 'Overview' },
  { key: 'values', text: 'Values' },
  { key: 'images', text: 'Images' },
] as const;

const FailureCard = ({ cluster }: { cluster: ClusterView }): ReactElement | null => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const retry = useMutation({
    mutationFn: () => ask('retryCluster', { params: { project, name: cluster.name } }),
    onSuccess: async () => {
      notify(`${cluster.name} tries again`);
      await client.invalidateQueries({ queryKey: keys.cluster(project, cluster.name) });
    },
  });
  const failure = cluster.failure;
  if (failure === undefined) return null;
  const isRolledBack = cluster.hosts.some((host) => host.phase === 'rolled-back');
  const why = whyNot('cluster.apply') ?? (cluster.deleting ? 'It is being deleted.' : retry.isPending ? 'It is on its way.' : undefined);
  return (
    <Card title={isRolledBack ? 'Rolled back' : 'Why it is not as desired'} tone="bad">
      <Problem failure={failure}>
        <Button onClick={() => retry.mutate()} why={why} kind="primary">
          Retry
        </Button>
        <LinkButton href={paths.clusterEdit(project, cluster.name)} why={whyNot('cluster.apply')}>
          Edit and plan
        </LinkButton>
      </Problem>
      {isRolledBack && <p className="quiet">The last good version runs. The failed one is not tried again by itself; Retry lifts that.</p>}
      {retry.error !== null && <Problem failure={retry.error} />}
    </Card>
  );
};

/** What a host is in a cluster that the agents bring up: `control plane, keeper, v1.37.2`. */
const nodeText = ({ kubernetes }: ClusterView['hosts'][number]): string => {
  if (kubernetes === undefined) return '';
  const role = kubernetes.role === 'worker' ? 'worker' : 'control plane';
  const state = { none: 'not a member yet', waiting: 'waits for an invitation', joined: kubernetes.version ?? 'member' }[kubernetes.node];
  return [role, ...(kubernetes.keeper ? ['keeper'] : []), state].join(', ');
};

const HostTable = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const { project } = useScope();
  if (cluster.hosts.length === 0) return <p className="quiet">No host is assigned. Edit the cluster and name approved hosts under spec.hosts.</p>;
  const isManaged = cluster.hosts.some((host) => host.kubernetes !== undefined);
  const isShared = cluster.hosts.some((host) => host.applier !== undefined);
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label="Hosts of the cluster">
      <table>
        <thead>
          <tr>
            <th scope="col">Host</th>
            <th scope="col">Presence</th>
            <th scope="col">Phase</th>
            <th scope="col">Generation</th>
            {isManaged && <th scope="col">Kubernetes</th>}
            {isShared && <th scope="col">Add-ons</th>}
          </tr>
        </thead>
        <tbody>
          {cluster.hosts.map((host) => (
            <tr key={host.id}>
              <td>
                <Link href={paths.host(project, host.name)}>
                  <Name text={host.name} />
                </Link>{' '}
                <Simulated when={host.simulated} />
              </td>
              <td>
                <Presence online={host.online} lastSeenMs={host.lastSeenMs} />
              </td>
              <td>
                {host.phase === undefined ? (
                  <span className="quiet">no report</span>
                ) : (
                  <Badge tone={host.online ? phaseTone[host.phase] : 'off'} text={host.phase} />
                )}
              </td>
              <td>
                <Generation host={host} />
              </td>
              {isManaged && <td>{nodeText(host)}</td>}
              {isShared && <td title={host.why}>{host.applier === undefined ? '–' : applierWords[host.applier]}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
};

/** Conditions that are good when they are false. */
const unwanted: ReadonlySet<string> = new Set(['Drifted']);

const conditionTone = ({ type, status }: ClusterView['conditions'][number]): Tone =>
  status === 'Unknown' ? 'idle' : (status === 'True') === unwanted.has(type) ? 'bad' : 'good';

const Conditions = ({ cluster }: { cluster: ClusterView }): ReactElement => (
  <ul className="conditions">
    {cluster.conditions.map((condition) => (
      <li key={condition.type}>
        <Badge tone={conditionTone(condition)} text={`${condition.type}: ${condition.status}`} />
        <p>
          <code>{condition.reason}</code> <bdi className="quiet">{condition.message}</bdi>
        </p>
      </li>
    ))}
    {cluster.conditions.length === 0 && <li className="quiet">None yet.</li>}
  </ul>
);

const Profiles = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const { project } = useScope();
  return (
    <ul className="plain">
      {cluster.profiles.map(({ name, version }) => (
        <li key={`${name}@${version}`}>
          <Link href={paths.profile(project, name, version)}>
            <Name text={name} /> {version}
          </Link>
        </li>
      ))}
    </ul>
  );
};

const About = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const variables = Object.entries(cluster.spec.variables);
  const variableList = (
    <dl className="variables">
      {variables.map(([name, value]) => (
        <div key={name}>
          <dt>
            <bdi>{name}</bdi>
          </dt>
          <dd>
            <bdi className="clip" title={value}>
              {value}
            </bdi>
          </dd>
        </div>
      ))}
    </dl>
  );
  return (
    <Facts
      rows={[
        ['Profiles', <Profiles key="p" cluster={cluster} />],
        ['Variables', variables.length === 0 ? <span className="quiet">none set; the profiles' defaults hold</span> : variableList],
        ['Kubernetes', cluster.kubernetesVersion],
        ['Bundle', cluster.bundle === undefined ? undefined : <code title={cluster.bundle}>{shortDigest(cluster.bundle)}</code>],
        ['Labels', <Labels key="l" labels={cluster.labels} />],
        ['Created', <Age key="c" atMs={cluster.createdAtMs} />],
        ['Changed', <Age key="u" atMs={cluster.updatedAtMs} />],
      ]}
    />
  );
};

const Head = ({ cluster }: { cluster: ClusterView }): ReactElement => (
  <>
    <Name text={cluster.name} />
    <Badge tone={clusterTone[cluster.state]} text={cluster.state} title={clusterStates[cluster.state]} />
    <Simulated when={cluster.simulated} />
  </>
);

const Actions = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const { project, whyNot } = useScope();
  const isGoing = cluster.deleting ? 'It is being deleted.' : undefined;
  return (
    <>
      <CopyMenu cli={`gp get cluster ${cluster.name} --project ${project}`} yaml={() => clusterDocument(cluster)} />
      <LinkButton href={paths.clusterEdit(project, cluster.name)} why={whyNot('cluster.apply') ?? isGoing}>
        <Icon name="edit" />
        Edit
      </LinkButton>
      <DeleteCluster cluster={cluster} />
    </>
  );
};

const Overview = ({ cluster }: { cluster: ClusterView }): ReactElement => {
  const { project } = useScope();
  const events = useQuery(eventsQuery(project, { cluster: cluster.name }, 50));
  return (
    <div className="detail-columns">
      <div className="stack">
        <FailureCard cluster={cluster} />
        {cluster.spec.infrastructure !== undefined && (
          <Suspense fallback={<Loading what="the infrastructure" />}>
            <Infrastructure cluster={cluster} />
          </Suspense>
        )}
        <Suspense fallback={<Loading what="the topology" />}>
          <ClusterTopology cluster={cluster} />
        </Suspense>
        <Card title="Layers">
          <LayerStack layers={cluster.layers} />
        </Card>
        <Card title={`Hosts (${cluster.hosts.length})`}>
          <HostTable cluster={cluster} />
        </Card>
      </div>
      <div className="stack">
        <Card title="About">
          <About cluster={cluster} />
        </Card>
        <Card title="Conditions">
          <Conditions cluster={cluster} />
        </Card>
        <Card title="Events">
          <Answer of={events} what="events">
            {(list) => <EventList events={list} of="cluster" />}
          </Answer>
        </Card>
      </div>
    </div>
  );
};

export const Cluster = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  const cluster = useQuery(clusterQuery(project, name));
  const [asked, setPart] = useUrlState('tab', 'overview');
  const part = parts.find((each) => each.key === asked)?.key ?? 'overview';
  const data = cluster.data;
  const healed = data?.layers.reduce((sum, layer) => sum + (layer.observed?.drift.healed ?? 0), 0) ?? 0;
  const sentence = data === undefined || data.message === '' ? clusterStates[data?.state ?? 'waiting'] : data.message;
  const drift = healed === 0 ? '' : `, drift healed ${healed === 1 ? 'once' : `${healed} times`}`;
  const note = data && `${sentence.replace(/[^.]$/, '$&.')} ${data.layersReady} of ${data.layersTotal} layers ready${drift}.`;
  return (
    <Page
      title={data === undefined ? <Name text={name} /> : <Head cluster={data} />}
      tab={name}
      note={note && <bdi>{note}</bdi>}
      actions={data && <Actions cluster={data} />}
    >
      <Answer of={cluster} what="the cluster">
        {(found) => (
          <>
            <Tabs label="Parts of the cluster" tabs={parts} chosen={part} choose={setPart} />
            {part === 'overview' && <Overview cluster={found} />}
            <Suspense fallback={<Loading what="this part" />}>
              {part === 'values' && <ClusterValues cluster={found} />}
              {part === 'images' && <ClusterImages name={found.name} />}
            </Suspense>
          </>
        )}
      </Answer>
    </Page>
  );
};
