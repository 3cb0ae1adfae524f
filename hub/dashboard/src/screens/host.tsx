import { useState, type ReactElement } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { applierWords, hostPhases } from '@groundplane/protocol/observed';
import type { ClusterLayerView, HostView } from '@groundplane/protocol/api/views';
import { ask } from '../api/client.ts';
import { clusterQuery, hostQuery, keys } from '../api/queries.ts';
import { TimelineCard } from '../host/timeline.tsx';
import { VitalsCard } from '../host/vitals.tsx';
import { shortDigest } from '../model/names.ts';
import { onReturn, returnText } from '../model/on-return.ts';
import { phaseTone } from '../model/tone.ts';
import { Button } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { LayerStack } from '../parts/layer-stack.tsx';
import { notify } from '../parts/notice.tsx';
import { Answer, Card, Page } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Age, Badge, Facts, Labels, Name, Presence, Simulated } from '../parts/text.tsx';
import { TypedConfirm } from '../parts/typed-confirm.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { ago, byteSize, useNow } from '../time.ts';
import { navigate } from '../url-state.ts';

/** What the host reported, beside what its cluster wants of each layer. */
const layersOf = (host: HostView, cluster: readonly ClusterLayerView[]): ClusterLayerView[] => {
  const reported = host.status?.layers ?? [];
  const wanted = cluster.map((layer): ClusterLayerView => {
    const observed = reported.find((status) => status.name === layer.name);
    return { ...layer, observed, isCurrent: observed?.digest === layer.desired?.digest && observed?.state === 'ready' };
  });
  const strays = reported.filter((status) => !cluster.some((layer) => layer.name === status.name));
  return [...wanted, ...strays.map((observed) => ({ name: observed.name, kind: observed.kind, observed, isCurrent: false }))];
};

const Generations = ({ host }: { host: HostView }): ReactElement => {
  const spoken = host.status?.version?.generation;
  const good = host.status?.committed;
  return (
    <Facts
      rows={[
        [
          'Desired',
          host.desired === undefined ? undefined : (
            <>
              generation {host.desired.generation} <code title={host.desired.digest}>{shortDigest(host.desired.digest)}</code>
            </>
          ),
        ],
        [
          'Reported',
          spoken === undefined ? (
            <span className="quiet">nothing yet</span>
          ) : (
            `generation ${spoken}${spoken === host.generation ? '' : ', behind what is desired'}`
          ),
        ],
        [
          'Last good',
          good === undefined ? (
            <span className="quiet">none</span>
          ) : (
            <>
              generation {good.generation} <code title={good.digest}>{shortDigest(good.digest)}</code>
            </>
          ),
        ],
        ['Report', <Age key="r" atMs={host.reportedAtMs} />],
        [
          'Medium',
          host.carried === undefined ? (
            <span className="quiet">no receipt came back</span>
          ) : (
            <>
              receipt {host.carried.seq}, <Age atMs={host.carried.receivedAtMs} />
              {host.carried.generation !== undefined && `, of generation ${host.carried.generation}`}
            </>
          ),
        ],
        ['Add-ons', host.applier === undefined ? undefined : `${applierWords[host.applier]}${host.why === undefined ? '' : `; ${host.why}`}`],
        ['Kubernetes', host.status === undefined ? undefined : `${host.status.kubernetes.version ?? ''} ${host.status.kubernetes.state}`],
      ]}
    />
  );
};

const Machine = ({ host }: { host: HostView }): ReactElement => (
  <Facts
    rows={[
      ['Host name', host.info && <Name text={host.info.hostname} />],
      ['System', host.info && <bdi>{`${host.info.os}, ${host.info.kernel}, ${host.info.arch}`}</bdi>],
      ['Size', host.info && `${host.info.cpus} CPUs, ${byteSize(host.info.memoryBytes)}`],
      ['Agent', host.info && `${host.info.agentVersion}${host.info.privileged ? ', privileged' : ', without root rights'}`],
      ['Addresses', host.info?.addresses === undefined ? undefined : <bdi key="n">{host.info.addresses.join(', ')}</bdi>],
      ['Serial', host.serial && <Name text={host.serial} />],
      [
        'Words',
        <span key="w" className="words">
          {host.words}
        </span>,
      ],
      [
        'Key',
        <code key="k" className="clip" title={host.key}>
          {host.key}
        </code>,
      ],
      ['Labels', <Labels key="l" labels={host.labels} />],
      ['Enrolled', <Age key="a" atMs={host.createdAtMs} />],
    ]}
  />
);

const Revoke = ({ host }: { host: HostView }): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [isOpen, setIsOpen] = useState(false);
  const revoke = useMutation({
    mutationFn: () => ask('revokeHost', { params: { project, name: host.name } }),
    onSuccess: async () => {
      notify(`${host.name} is revoked`);
      setIsOpen(false);
      navigate(paths.hosts(project));
      await client.invalidateQueries({ queryKey: keys.hosts(project) });
    },
  });
  const about = <p>Its key is not accepted any more and the hub forgets it. What runs on it keeps running without us; to come back it needs a new ticket.</p>;
  return (
    <>
      <Button kind="danger" onClick={() => setIsOpen(true)} why={whyNot('host.delete')}>
        Revoke
      </Button>
      <TypedConfirm
        open={isOpen}
        onClose={() => setIsOpen(false)}
        title="Revoke host"
        about={about}
        name={host.name}
        action="Revoke host"
        error={revoke.error}
        isPending={revoke.isPending}
        onConfirm={() => revoke.mutate()}
      />
    </>
  );
};

/** What the hub knows of the cluster that this host is in, and nothing while it does not. */
const useLayers = (host: HostView): ClusterLayerView[] => {
  const { project } = useScope();
  const cluster = useQuery({ ...clusterQuery(project, host.cluster ?? ''), enabled: host.cluster !== undefined });
  return layersOf(host, cluster.data?.layers ?? []);
};

const Offline = ({ host }: { host: HostView }): ReactElement | null => {
  const now = useNow();
  const { project } = useScope();
  const steps = onReturn(useLayers(host));
  if (host.online) return null;
  const waits = host.generation !== (host.reportedGeneration ?? 0);
  return (
    <Card title="Offline">
      <p>
        Everything below is as of {host.lastSeenMs === undefined ? 'its enrolment' : ago(host.lastSeenMs, now)}. It keeps working by itself.{' '}
        {waits ? `On return it goes on to generation ${host.generation}.` : 'Nothing waits for its return.'}
      </p>
      {waits && steps.length > 0 && (
        <ol aria-label="What it will do on return">
          {steps.map((step) => (
            <li key={`${step.action} ${step.layer}`}>
              <bdi>{returnText(step)}</bdi>
            </li>
          ))}
        </ol>
      )}
      {waits && host.cluster !== undefined && (
        <p className="quiet">
          Without a line it can be brought there by a <Link href={paths.media(project, host.cluster)}>medium</Link>:{' '}
          <code>{`gp media export ${host.cluster} FOLDER --project ${project}`}</code>
        </p>
      )}
    </Card>
  );
};

const Staging = ({ host }: { host: HostView }): ReactElement | null => {
  const staging = host.status?.staging;
  if (staging === undefined || host.status?.phase !== 'staging') return null;
  return (
    <Card title="Fetching the new generation">
      <progress aria-label="Large content" max={Math.max(1, staging.totalBytes)} value={staging.doneBytes} />
      <p>
        {byteSize(staging.doneBytes)} of {byteSize(staging.totalBytes)}
        {staging.blob !== undefined && (
          <>
            , now <bdi>{staging.blob}</bdi>
          </>
        )}
        . Nothing on the host has changed yet.
      </p>
    </Card>
  );
};

const Failure = ({ host }: { host: HostView }): ReactElement | null => {
  const failure = host.status?.poisoned?.failure ?? host.status?.failure;
  if (failure === undefined) return null;
  const poisoned = host.status?.poisoned?.version.generation;
  return (
    <Card title={poisoned === undefined ? 'Why it is not as desired' : `Generation ${poisoned} failed and is not tried again`} tone="bad">
      <Problem failure={failure} />
    </Card>
  );
};

const Head = ({ host }: { host: HostView }): ReactElement => (
  <>
    <Name text={host.name} />
    <Presence online={host.online} lastSeenMs={host.lastSeenMs} />
    {host.phase !== undefined && <Badge tone={host.online ? phaseTone[host.phase] : 'off'} text={host.phase} title={hostPhases[host.phase]} />}
    <Simulated when={host.simulated} />
  </>
);

const Layers = ({ host }: { host: HostView }): ReactElement => <LayerStack layers={useLayers(host)} />;

export const Host = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  const host = useQuery(hostQuery(project, name));
  const data = host.data;
  const note =
    data &&
    (data.cluster === undefined ? (
      'In no cluster.'
    ) : (
      <>
        In cluster{' '}
        <Link href={paths.cluster(project, data.cluster)}>
          <Name text={data.cluster} />
        </Link>
        . {data.phase && hostPhases[data.phase]}
      </>
    ));
  const actions = data && (
    <>
      <CopyMenu cli={`gp get host ${name} --project ${project}`} yaml={() => data} />
      <Revoke host={data} />
    </>
  );
  return (
    <Page title={data === undefined ? <Name text={name} /> : <Head host={data} />} tab={name} note={note} actions={actions}>
      <Answer of={host} what="the host">
        {(found) => (
          <>
            <Offline host={found} />
            <div className="detail-columns">
              <div className="stack">
                <Failure host={found} />
                <Staging host={found} />
                <Card title="Layers">
                  <Layers host={found} />
                </Card>
                <TimelineCard host={found} />
              </div>
              <div className="stack">
                <VitalsCard host={found} />
                <Card title="Generation">
                  <Generations host={found} />
                </Card>
                <Card title="Machine">
                  <Machine host={found} />
                </Card>
              </div>
            </div>
          </>
        )}
      </Answer>
    </Page>
  );
};
