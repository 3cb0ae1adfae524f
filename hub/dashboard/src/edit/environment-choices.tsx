import { isRecord } from '@groundplane/protocol/record';
import { useQuery } from '@tanstack/react-query';
import { accountKinds, accountKindOf } from '@groundplane/protocol/environment/account';
import { environmentNames, environments, isMachineEnvironment, isManagedEnvironment, type Environment } from '@groundplane/protocol/environment/environments';
import { useState, type ReactElement } from 'react';
import { accountsQuery, offersQuery } from '../api/queries-cloud.ts';
import { Button } from '../parts/button.tsx';
import { Choice } from '../parts/field.tsx';
import { Card } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Name } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { setValue } from './change-document.ts';

interface Props {
  raw: unknown;
  text: string;
  setText: (text: string) => void;
}

type Infrastructure = { environment: Environment; account: string; placement: Record<string, unknown>; pools: Record<string, unknown>[] };

/** What the document says so far, however unfinished. */
const writtenIn = (raw: unknown): Infrastructure | undefined => {
  const spec = isRecord(raw) && isRecord(raw['spec']) ? raw['spec'] : {};
  const written = spec['infrastructure'];
  if (!isRecord(written)) return undefined;
  const environment = environmentNames.find((name) => name === written['environment']);
  if (environment === undefined) return undefined;
  const pools = Array.isArray(written['pools']) ? written['pools'].filter(isRecord) : [];
  return {
    environment,
    account: typeof written['account'] === 'string' ? written['account'] : '',
    placement: isRecord(written['placement']) ? written['placement'] : {},
    pools,
  };
};

/** What each placement has to say at least; the rest are choices and defaults. */
const firstPlacement: Readonly<Record<Environment, Record<string, unknown>>> = {
  aws: { region: '' },
  eks: { region: '' },
  azure: { subscription: '', location: '' },
  aks: { subscription: '', location: '' },
  google: { project: '', region: '' },
  gke: { project: '', location: '' },
  vsphere: { datacenter: '', template: '', network: '', datastore: '', vip: '' },
  nutanix: { cluster: '', subnet: '', image: '', vip: '' },
  openstack: { externalNetwork: '' },
  maas: { vip: '' },
  existing: { mode: 'full' },
};

const starterFor = (environment: Environment, account: string): Record<string, unknown> => ({
  environment,
  account,
  placement: firstPlacement[environment],
  ...(environment === 'existing'
    ? {}
    : {
        pools: [
          ...(isMachineEnvironment(environment) ? [{ name: 'servers', role: 'control-plane', count: 3, size: '' }] : []),
          { name: 'workers', count: 2, size: '' },
        ],
      }),
});

/** The others have a blank between environment and account. */
const insideChoice = 'inside';
/** As `gp cloud import` makes it: somebody lets it do more later, with a full agent. */
const insideStarter = { environment: 'existing', placement: { mode: 'read-only', agent: 'inside' } };

const shownMax = 40;

interface OfferListProps {
  title: string;
  items: readonly { name: string; title?: string | undefined }[];
  choose: (name: string) => void;
  /** What the document has now. */
  held: readonly unknown[];
}

const OfferList = ({ title, items, choose, held }: OfferListProps): ReactElement | null => {
  if (items.length === 0) return null;
  return (
    <details>
      <summary>
        {title} ({items.length})
      </summary>
      <ul className="choices">
        {items.slice(0, shownMax).map((item) => (
          <li key={item.name}>
            <Name text={item.name} />
            {item.title !== undefined && (
              <span className="quiet clip">
                <bdi>{item.title}</bdi>
              </span>
            )}
            <Button
              onClick={() => choose(item.name)}
              why={held.includes(item.name) ? 'It is in the document.' : undefined}
              label={`Choose ${title} ${item.name.slice(0, 80)}`}
            >
              Choose
            </Button>
          </li>
        ))}
        {items.length > shownMax && <li className="quiet">and {items.length - shownMax} more; write the name into the document</li>}
      </ul>
    </details>
  );
};

/** Where the names of an environment's networks go. */
const networkKey: Readonly<Partial<Record<Environment, string>>> = {
  aws: 'vpc',
  eks: 'vpc',
  google: 'network',
  gke: 'network',
  vsphere: 'network',
  nutanix: 'subnet',
  openstack: 'externalNetwork',
};

const filled = (placement: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(placement).filter(([, value]) => value !== ''));

const Offers = ({ text, setText, written }: Omit<Props, 'raw'> & { written: Infrastructure }): ReactElement => {
  const { project } = useScope();
  const { environment, account, placement, pools } = written;
  const offers = useQuery(offersQuery(project, account, environment, filled(placement)));
  const way = ['spec', 'infrastructure'] as const;
  const place = (key: string) => (name: string) => setText(setValue(text, [...way, 'placement', key], name));
  const setSize = (name: string): void => setText(pools.reduce((now, _, index) => setValue(now, [...way, 'pools', index, 'size'], name), text));
  const found = offers.data;
  if (offers.error !== null) return <Problem failure={offers.error} />;
  if (found === undefined) return <p className="quiet">Asking {environments[environment].title} what there is …</p>;
  const regionKey = environment === 'azure' || environment === 'aks' || environment === 'gke' ? 'location' : 'region';
  const sizes = found.sizes.map((size) => ({
    name: size.name,
    title: `${size.cpus} CPUs, ${(size.memoryMiB / 1024).toFixed(1)} GiB${size.price === undefined ? '' : `, $${size.price} an hour`}`,
  }));
  const network = networkKey[environment];
  return (
    <>
      <OfferList title="Regions" items={found.regions} choose={place(regionKey)} held={[placement[regionKey]]} />
      <OfferList
        title="Sizes, for every pool"
        items={sizes}
        choose={setSize}
        held={pools.every((pool) => pool['size'] === pools[0]?.['size']) ? [pools[0]?.['size']] : []}
      />
      {network !== undefined && <OfferList title="Networks" items={found.networks} choose={place(network)} held={[placement[network]]} />}
      {environment === 'nutanix' || environment === 'vsphere' ? (
        <OfferList
          title="Images"
          items={found.images}
          choose={place(environment === 'vsphere' ? 'template' : 'image')}
          held={[placement['template'], placement['image']]}
        />
      ) : null}
      {Object.entries(found.other ?? {}).map(([key, items]) => (
        <OfferList key={key} title={key} items={items} choose={place(key)} held={[placement[key]]} />
      ))}
      {isManagedEnvironment(environment) && (found.versions ?? []).length > 0 && (
        <p className="quiet">
          Kubernetes versions: {(found.versions ?? []).map((version) => version.name).join(', ')}. The version is that of the profile's Kubernetes layer.
        </p>
      )}
    </>
  );
};

/** Where the cluster shall live: an environment and an account write their part into the document, and then offer what there is. */
export const EnvironmentChoices = ({ raw, text, setText }: Props): ReactElement => {
  const { project } = useScope();
  const accounts = useQuery(accountsQuery(project)).data?.items ?? [];
  const possible = accounts.flatMap((account) => accountKinds[account.kind].environments.map((environment) => ({ account: account.name, environment })));
  const [wanted, setWanted] = useState('');
  const written = writtenIn(raw);
  const options = [
    ...possible.map((each) => [`${each.environment} ${each.account}`, `${environments[each.environment].title}, account ${each.account}`] as const),
    [insideChoice, 'Existing cluster, agent inside of it (needs no account)'] as const,
  ];
  const chosen = options.some(([value]) => value === wanted) ? wanted : (options[0]?.[0] ?? insideChoice);
  const write = (): void => {
    const from = possible.find((each) => `${each.environment} ${each.account}` === chosen);
    setText(setValue(text, ['spec', 'infrastructure'], from === undefined ? insideStarter : starterFor(from.environment, from.account)));
  };
  return (
    <Card title="Environment">
      {written === undefined ? (
        <>
          <p className="quiet">
            {possible.length === 0
              ? 'Hosts that came by themselves need none. With a cloud account, the hub makes machines or a managed cluster. An existing cluster can be imported without one.'
              : 'Leave it out for hosts that came by themselves.'}
          </p>
          <div className="row">
            <Choice label="Environment and account" value={chosen} options={options} commit={setWanted} />
            <Button onClick={write}>Write into the document</Button>
          </div>
        </>
      ) : written.environment === 'existing' && written.placement['agent'] === 'inside' ? (
        <p className="quiet">
          In a cluster that is there already, by an agent inside of it. When this is applied, one command for that cluster is shown. With{' '}
          <code>mode: read-only</code> the agent only looks; with <code>mode: full</code> it also manages the layers.
        </p>
      ) : environments[written.environment].kind === 'existing' ||
        !accounts.some((account) => account.name === written.account && account.kind === accountKindOf(written.environment)) ? (
        <p className="quiet">In {environments[written.environment].title}, as the document says.</p>
      ) : (
        <Offers text={text} setText={setText} written={written} />
      )}
    </Card>
  );
};
