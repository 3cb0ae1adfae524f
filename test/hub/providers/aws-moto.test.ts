import { AttachInternetGatewayCommand, CreateInternetGatewayCommand, CreateRouteCommand, CreateRouteTableCommand, CreateSubnetCommand, CreateVpcCommand, AssociateRouteTableCommand } from '@aws-sdk/client-ec2'; // prettier-ignore
import { CreateAccessEntryCommand, DescribeAccessEntryCommand, DescribeClusterCommand, ListAddonsCommand } from '@aws-sdk/client-eks';
import { CreateRoleCommand, DeleteRoleCommand } from '@aws-sdk/client-iam';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { Http, HttpRequest } from '@groundplane/hub/port/http';
import type { ClusterScope, MachineProvider, ManagedClusterProvider } from '@groundplane/hub/port/provider';
import { baseName, nodeRoleName, rolePath } from '@groundplane/hub/providers/aws/names';
import { machineActions } from '@groundplane/hub/providers/aws/permissions';
import { openAws } from '@groundplane/hub/providers/aws/provider';
import { cloudOf, createSession, type Cloud } from '@groundplane/hub/providers/aws/session';
import { managedActions } from '@groundplane/hub/providers/eks/permissions';
import { createClients, type EksCloud } from '@groundplane/hub/providers/eks/read';
import { openEks } from '@groundplane/hub/providers/eks/provider';
import { createDrive } from '../../conformance/providers/drive.ts';
import { endMachines, growMachines } from '../../conformance/providers/machine-life.ts';
import type { MachineRig } from '../../conformance/providers/rig.ts';
import { eksFront, type EksModel } from '../../counterparts/aws/eks-front.ts';
import { eksCallOf } from '../../counterparts/aws/eks-routes.ts';
import { motoFront } from '../../counterparts/aws/front.ts';
import { inventoryOf } from '../../counterparts/aws/inventory.ts';
import { awsRig, depsOf, region } from '../../counterparts/aws/rig.ts';
import { missingForMoto, startMoto, type Moto } from '../../counterparts/aws/start.ts';
import { actionOf, serviceOf } from '../../counterparts/aws/words.ts';
import { plainHttp } from '../../counterparts/plain-http.ts';
import { isRequired } from '../../lab/prerequisite.ts';

const missing = await missingForMoto();
const isRunning = missing.length === 0 || isRequired('moto');
const drive = createDrive(() => false, 5);
const want = (name: string) => ({
  name,
  pool: 'workers',
  role: 'worker' as const,
  size: 'm5.large',
  spot: false,
  userData: '#cloud-config\n',
  generation: 'g1',
});

describe.skipIf(!isRunning)(`AWS EC2 against moto${isRunning ? '' : ` (skipped: ${missing.join(' ')})`}`, () => {
  let rig: MachineRig;
  const heard = new Set<string>();
  let cloud: Cloud;
  let provider: MachineProvider<'aws'>;
  let endpoint = '';
  const scope = (id: string, placement: Record<string, unknown> = {}): ClusterScope<'aws'> => ({
    id: `clu_${id.padEnd(20, '0')}`,
    name: 'shop',
    zones: ['us-east-1a', 'us-east-1b'],
    placement: placementSchemas.aws.parse({ region, ...placement }),
  });
  const open = (http: Http, settings = {}) => openAws({ ...depsOf(endpoint, http), settings: { region, endpoint, ...settings } });

  beforeAll(async () => {
    rig = await awsRig(heard);
    const seen: string[] = [];
    await (await rig.open(async (request) => (seen.push(request.url), rig.http(request)))).check();
    endpoint = new URL(seen[0] ?? '').origin;
    cloud = cloudOf(createSession(depsOf(endpoint, rig.http)), region);
    provider = await open(rig.http);
  }, 600_000);
  afterAll(async () => rig?.close());

  test('whatever is called is in the policy', async () => {
    const at = scope('policy');
    await growMachines(rig, drive, provider, at);
    await drive.once('tagged', () => provider.findTagged(at.placement));
    await endMachines(drive, provider, at);
    const called = [...heard].filter((action) => !action.startsWith('sts:') && action !== 'iam:SimulatePrincipalPolicy');
    expect(called.length).toBeGreaterThan(40);
    expect(called.filter((action) => !(machineActions as readonly string[]).includes(action))).toEqual([]);
  });

  test('a machine that is asked for twice while lists are behind is one machine', async () => {
    const at = scope('token');
    await drive.until('network', () => provider.ensureNetwork(at));
    const blind: Http = async (request) => {
      const said = actionOf(request) === 'DescribeInstances' ? rig.answers.notYet?.(request) : undefined;
      return said === undefined ? rig.http(request) : { ok: true, value: said };
    };
    // Two lives that both see nothing.
    const one = await drive.once('machine', async () => (await open(blind)).ensureMachine(at, want('twice')));
    const two = await drive.once('machine', async () => (await open(blind)).ensureMachine(at, want('twice')));
    expect(two.instance).toBe(one.instance);
    const other = await (await open(blind)).ensureMachine(at, { ...want('twice'), size: 'm5.xlarge' });
    expect(other).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'cloud-conflict' } });
    await endMachines(drive, provider, at);
    expect(await rig.inventory()).toEqual([]);
  });

  test('an image by its owner and name is the newest one of the processor that the size has', async () => {
    const at = scope('images');
    const owned = '099720109477:ubuntu/images/hvm-ssd/ubuntu-*';
    const found = await provider.resolveImage?.(at, 'm5.large', { name: 'ubuntu', amd64: owned });
    expect(found).toMatchObject({ ok: true, value: { exact: expect.stringMatching(/^ami-/) } });
    expect(await provider.resolveImage?.(at, 'm5.large', { name: 'ubuntu', amd64: '099720109477:nothing-*' })).toMatchObject({ ok: false, failure: { code: 'choice-missing' } }); // prettier-ignore
    expect(await provider.resolveImage?.(at, 'm6g.large', { name: 'ubuntu', amd64: owned })).toMatchObject({ ok: false, failure: { code: 'choice-missing' } });
  });

  test('a role of our name that somebody else made is neither taken nor deleted', async () => {
    const at = scope('foreign');
    await cloud.iam.send(
      new CreateRoleCommand({ RoleName: nodeRoleName(at), Path: rolePath, AssumeRolePolicyDocument: '{"Version":"2012-10-17","Statement":[]}' }),
    );
    let refused = await provider.ensureNetwork(at);
    for (let round = 0; round < 20 && refused.ok; round += 1) refused = await provider.ensureNetwork(at);
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'not-ours' } });
    await endMachines(drive, provider, at);
    expect(await rig.inventory()).toEqual([`role ${nodeRoleName(at)}`]);
    await cloud.iam.send(new DeleteRoleCommand({ RoleName: nodeRoleName(at) }));
  });

  test('a given network is used, and stays', async () => {
    const { ec2 } = cloud;
    const vpc = (await ec2.send(new CreateVpcCommand({ CidrBlock: '10.9.0.0/16' }))).Vpc?.VpcId ?? '';
    const subnets: string[] = [];
    for (const [index, zone] of ['us-east-1a', 'us-east-1a', 'us-east-1b'].entries())
      subnets.push((await ec2.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock: `10.9.${index}.0/24`, AvailabilityZone: zone }))).Subnet?.SubnetId ?? '');
    const before = await inventoryOf(cloud);
    const at = scope('given', { vpc, subnets });
    expect(await provider.ensureNetwork(at)).toMatchObject({
      ok: false,
      failure: { code: 'choice-missing', message: expect.stringContaining('internet gateway') },
    });
    const gateway = (await ec2.send(new CreateInternetGatewayCommand({}))).InternetGateway?.InternetGatewayId;
    await ec2.send(new AttachInternetGatewayCommand({ InternetGatewayId: gateway, VpcId: vpc }));
    const table = (await ec2.send(new CreateRouteTableCommand({ VpcId: vpc }))).RouteTable?.RouteTableId;
    await ec2.send(new CreateRouteCommand({ RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0', GatewayId: gateway }));
    await ec2.send(new AssociateRouteTableCommand({ RouteTableId: table, SubnetId: subnets[0] }));
    const open1 = await inventoryOf(cloud);
    await drive.until('network', () => provider.ensureNetwork(at));
    await drive.until('endpoint', () => provider.ensureEndpoint(at, []));
    const machine = await drive.once('machine', () => provider.ensureMachine(at, { ...want('given'), zone: 'us-east-1a' }));
    expect(machine.addresses.some((address) => address.startsWith('10.9.1.'))).toBe(true);
    await endMachines(drive, provider, at);
    expect((await inventoryOf(cloud)).toSorted()).toEqual(open1.toSorted());
    expect(open1.length).toBeGreaterThan(before.length);
    const elsewhere = await provider.ensureNetwork(scope('lost', { vpc, subnets: ['subnet-00000000000000000'] }));
    expect(elsewhere).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'choice-missing' } });
  });

  test('a role is assumed once, and its keys are used', async () => {
    const calls: { action: string; token: string | undefined }[] = [];
    const watched: Http = async (request: HttpRequest) => {
      calls.push({ action: actionOf(request), token: request.headers['x-amz-security-token'] });
      return rig.http(request);
    };
    const assumed = await open(watched, { roleArn: 'arn:aws:iam::123456789012:role/hub' });
    const facts = await drive.once('check', () => assumed.check());
    await drive.once('list', () => assumed.listMachines(scope('role')));
    expect(facts.identity).toContain('assumed-role/hub/groundplane');
    expect(calls.filter((call) => call.action === 'AssumeRole')).toEqual([{ action: 'AssumeRole', token: undefined }]);
    expect(calls.filter((call) => call.action !== 'AssumeRole').every((call) => call.token !== undefined)).toBe(true);
  });
});

describe.skipIf(!isRunning)(`EKS against moto${isRunning ? '' : ` (skipped: ${missing.join(' ')})`}`, () => {
  let moto: Moto;
  let cloud: EksCloud;
  let provider: ManagedClusterProvider<'eks'>;
  const called = new Set<string>();
  const model: EksModel = { looks: 2 };
  const scope = (placement: Record<string, unknown> = {}): ClusterScope<'eks'> => ({
    id: 'clu_eksmoto0000000000000',
    name: 'shop',
    zones: ['us-east-1a', 'us-east-1b'],
    placement: placementSchemas.eks.parse({ region, ...placement }),
  });
  const pool = (change = {}) => ({ name: 'one', pool: 'one', generation: 'g1', size: 'm5.large', count: 1, zones: [], spot: false, labels: {}, taints: [], update: { maxSurge: 1, maxUnavailable: 1 }, ...change }); // prettier-ignore

  beforeAll(async () => {
    const started = await startMoto();
    if (!started.ok) throw new Error(started.failure.message);
    moto = started.value;
    const front = motoFront(eksFront(plainHttp, model));
    const watched: Http = async (request) => {
      called.add(serviceOf(request) === 'eks' ? `eks:${eksCallOf(request)?.name}` : `${serviceOf(request)}:${actionOf(request)}`);
      return front(request);
    };
    cloud = createClients(createSession(depsOf(moto.url, front)))(region);
    provider = await openEks(depsOf(moto.url, watched));
  }, 600_000);
  afterAll(async () => moto?.stop());

  const developers = 'arn:aws:iam::123456789012:role/developers';
  const others = 'arn:aws:iam::123456789012:role/others';

  test('the control plane, who may use it, and its add-ons follow the placement', async () => {
    const first = scope({ addons: [{ name: 'coredns' }], accessEntries: [{ principal: developers, policies: ['AmazonEKSViewPolicy'] }] });
    await drive.until('cluster', () => provider.ensureCluster(first, '1.34', undefined));
    const name = baseName(first);
    await cloud.eks.send(new CreateAccessEntryCommand({ clusterName: name, principalArn: others }));
    const later = scope({ access: 'private', logging: ['audit'], addons: [{ name: 'vpc-cni', version: 'v9' }] });
    await drive.until('cluster, changed', () => provider.ensureCluster(later, '1.34', undefined));
    const { cluster } = await cloud.eks.send(new DescribeClusterCommand({ name }));
    expect(cluster?.resourcesVpcConfig).toMatchObject({ endpointPublicAccess: false, endpointPrivateAccess: true });
    expect(cluster?.logging?.clusterLogging?.find((item) => item.enabled)?.types).toEqual(['audit']);
    expect((await cloud.eks.send(new ListAddonsCommand({ clusterName: name }))).addons).toEqual(['vpc-cni']);
    await expect(cloud.eks.send(new DescribeAccessEntryCommand({ clusterName: name, principalArn: developers }))).rejects.toThrow();
    expect((await cloud.eks.send(new DescribeAccessEntryCommand({ clusterName: name, principalArn: others }))).accessEntry).toBeDefined();
  });

  test('a pool that could not be made says why, goes, and is made again', async () => {
    model.failNextPool = { code: 'AsgInstanceLaunchFailures', message: 'Your subnet has no free addresses' };
    let told = await provider.ensurePool(scope(), pool());
    for (let round = 0; round < 20 && told.ok; round += 1) told = await provider.ensurePool(scope(), pool());
    expect(told).toMatchObject({ ok: false, failure: { kind: 'retry', message: expect.stringContaining('no free addresses') } });
    await drive.until('pool', () => provider.ensurePool(scope(), pool()));
    expect(await drive.once('pools', () => provider.listPools(scope(), []))).toEqual([
      expect.objectContaining({ name: 'one', state: 'ready', version: '1.34' }),
    ]);
    const changed = pool({ labels: { a: 'b' }, taints: [{ key: 'k', effect: 'NoSchedule' }], min: 1, max: 4 });
    await drive.until('pool, changed', () => provider.ensurePool(scope(), changed));
    const other = pool({ size: 'c5.large', zones: ['us-east-1a'], generation: 'g2' });
    expect(await provider.listPools(scope(), [other])).toMatchObject({ ok: true, value: [{ name: 'one', pool: 'one', differs: ['size', 'zones'] }] });
    // Subnets are asked for only where they may decide something.
    expect(called.delete('ec2:DescribeSubnets')).toBe(true);
    expect(await provider.listPools(scope(), [pool({ zones: ['us-east-1a'] })])).toMatchObject({ ok: true, value: [{ name: 'one', generation: 'g1' }] });
    expect(called.has('ec2:DescribeSubnets')).toBe(false);
    called.add('ec2:DescribeSubnets');
  });

  test('two minors at once are refused with the words of EKS', async () => {
    expect(await provider.upgrade(scope(), '1.36')).toMatchObject({
      ok: false,
      failure: { kind: 'fatal', message: expect.stringContaining('Unsupported Kubernetes minor version') },
    });
  });

  test('nothing is left, and whatever was called is in the policy', async () => {
    await drive.until('nothing left', () => provider.ensureNothingLeft(scope()));
    expect(await inventoryOf(cloud)).toEqual([]);
    await drive.once('tagged', () => provider.findTagged({ region }));
    await drive.once('offers', () => provider.offers({ region }));
    expect(called.size).toBeGreaterThan(50);
    expect([...called].filter((action) => !managedActions.includes(action) && !action.startsWith('sts:'))).toEqual([]);
  });
});
