import { TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { Http } from '@groundplane/hub/port/http';
import type { ProviderDeps } from '@groundplane/hub/port/provider';
import { readInstances, stateOf } from '@groundplane/hub/providers/aws/machines';
import { openAws } from '@groundplane/hub/providers/aws/provider';
import { cloudOf, createSession } from '@groundplane/hub/providers/aws/session';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import type { MachineRig } from '../../conformance/providers/rig.ts';
import { plainHttp } from '../plain-http.ts';
import { motoFront, wrongKeyId } from './front.ts';
import { inventoryOf } from './inventory.ts';
import { motoVersion, startMoto } from './start.ts';
import { actionOf, errorAnswer, serviceOf } from './words.ts';
import type { HttpRequest, HttpResponse } from '@groundplane/hub/port/http';

export const region = 'us-east-1';

export const depsOf = (endpoint: string, http: Http, accessKeyId = 'AKIARIGHTRIGHTRIGHT0'): ProviderDeps<'aws'> => ({
  settings: { region, endpoint },
  secret: { type: 'keys', accessKeyId, secretAccessKey: 'only-for-the-counterpart' },
  http,
  clock: systemClock,
  random: systemRandom,
});

/** moto keeps terminated instances and reads through all of them at every question. */
export const forgetPast = async (endpoint: string): Promise<void> => {
  const answer = await fetch(`${endpoint}/moto-api/reset`, { method: 'POST' });
  if (!answer.ok) throw new Error(`moto's reset answered ${answer.status}`);
};

/** Codes and status of the services' own references. */
export const throttledAnswer = (request: HttpRequest): HttpResponse => {
  const service = serviceOf(request);
  if (service === 'ec2') return errorAnswer(request, 503, 'RequestLimitExceeded', 'Request limit exceeded.');
  if (service === 'eks') return errorAnswer(request, 429, 'TooManyRequestsException', 'Too Many Requests');
  return errorAnswer(request, 400, service === 'ssm' ? 'ThrottlingException' : 'Throttling', 'Rate exceeded');
};

/** Lists of EC2 that do not know yet what was made a moment ago. */
const emptyLists: Readonly<Record<string, string>> = {
  DescribeVpcs: 'vpcSet',
  DescribeSubnets: 'subnetSet',
  DescribeInternetGateways: 'internetGatewaySet',
  DescribeRouteTables: 'routeTableSet',
  DescribeNatGateways: 'natGatewaySet',
  DescribeAddresses: 'addressesSet',
  DescribeSecurityGroups: 'securityGroupInfo',
  DescribeInstances: 'reservationSet',
};
const notYet = (request: HttpRequest): HttpResponse | undefined => {
  const action = actionOf(request);
  const set = serviceOf(request) === 'ec2' ? emptyLists[action] : undefined;
  if (set === undefined) return undefined;
  const body = `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><${set}/></${action}Response>`;
  return { status: 200, headers: { 'content-type': 'text/xml' }, body: Buffer.from(body) };
};

/** The conformance suite's view of moto. Throws with the reason where it cannot be had. `heard` gets every action that was called. */
export const awsRig = async (heard: Set<string> = new Set()): Promise<MachineRig> => {
  const moto = await startMoto();
  if (!moto.ok) throw new Error(moto.failure.message);
  const { url, stop } = moto.value;
  const front = motoFront(plainHttp, heard);
  const outside = cloudOf(createSession(depsOf(url, plainHttp)), region);
  const rig: MachineRig<'aws'> = {
    kind: 'machines',
    counterpart: `moto server ${motoVersion}, with our model of tokens in front`,
    http: front,
    pollMs: 10,
    open: (http) => openAws(depsOf(url, http)),
    openWrong: (http) => openAws(depsOf(url, http, wrongKeyId)),
    scope: (id, name) => ({ id, name, zones: ['us-east-1a', 'us-east-1b'], placement: placementSchemas.aws.parse({ region }) }),
    inventory: () => inventoryOf(outside),
    want: (name, pool, generation) => ({
      name,
      pool,
      generation,
      role: pool === 'servers' ? 'control-plane' : 'worker',
      size: 'm5.large',
      spot: pool === 'workers' && generation === 'g2',
      userData: `#cloud-config\nhostname: ${name}\n`,
    }),
    deleteBehind: async (scope, name) => {
      const found = await readInstances(outside, scope, name);
      const live = found.ok ? found.value.filter((item) => stateOf(item) !== 'gone').map((item) => item.InstanceId ?? '') : [];
      await outside.ec2.send(new TerminateInstancesCommand({ InstanceIds: live }));
    },
    answers: {
      throttled: throttledAnswer,
      quota: (request) =>
        actionOf(request) === 'RunInstances'
          ? errorAnswer(request, 400, 'VcpuLimitExceeded', 'You have requested more vCPU capacity than your current vCPU limit of 32 allows.')
          : undefined,
      notYet,
    },
    forgetPast: () => forgetPast(url),
    close: stop,
  };
  return rig;
};
