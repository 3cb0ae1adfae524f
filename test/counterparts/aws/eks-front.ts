import type { Http, HttpRequest, HttpResponse } from '@groundplane/hub/port/http';
import type { ControlPlaneOf } from '../control-plane.ts';
import { eksCallOf, type EksCall } from './eks-routes.ts';
import { errorAnswer, jsonAnswer, serviceOf } from './words.ts';

/**
 * Our model of EKS in front of moto's, which keeps clusters and node groups and checks their networks and roles. Of us: time (things are made, changed and deleted
 * after so many looks at them), versions, what may not happen at the same time, add-ons, and access entries. Operations and the members of their inputs are the SDK's.
 */
type Input = Record<string, unknown>;
interface Thing {
  status: string;
  looksLeft: number;
  /** What a look shows besides what moto knows. */
  shown: Input;
  /** Happens when the looks are used up. */
  after?: (() => Promise<unknown>) | undefined;
}
export interface AccessEntry {
  shown: Input;
  policies: Set<string>;
}
interface ClusterThing extends Thing {
  pools: Map<string, Thing>;
  addons: Map<string, Thing>;
  entries: Map<string, AccessEntry>;
}
export interface EksModel {
  /** Looks until something is made, changed or gone. */
  looks: number;
  /** What the next node group fails with, in EKS' words. */
  failNextPool?: { code: string; message: string } | undefined;
  controlPlane?: ControlPlaneOf;
  /** Clusters, and node groups as `cluster/group`, that somebody else made: they show no tags. */
  untagged?: Set<string>;
  /** Set by the front: who may enter a cluster, by principal. */
  entriesOf?: (cluster: string) => ReadonlyMap<string, AccessEntry>;
}

const supported = ['1.33', '1.34', '1.35'];
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const minor = (version: unknown): number => Number(text(version).split('.')[1]);

const look = async (thing: Thing, done: string): Promise<void> => {
  if (thing.looksLeft > 0) thing.looksLeft -= 1;
  if (thing.looksLeft > 0 || thing.status === done) return;
  const { after } = thing;
  thing.after = undefined;
  await after?.();
  if (thing.status !== 'GONE' && thing.status !== 'CREATE_FAILED') thing.status = done;
};

const begin = (thing: Thing, status: string, looks: number, after?: () => Promise<unknown>): void => {
  Object.assign(thing, { status, looksLeft: looks, after });
};

export const eksFront = (http: Http, model: EksModel = { looks: 2 }): Http => {
  const clusters = new Map<string, ClusterThing>();
  model.entriesOf = (name) => clusters.get(name)?.entries ?? new Map();
  const refuse = (request: HttpRequest, status: number, code: string, message: string) => errorAnswer(request, status, code, message);
  const update = { update: { id: 'u-1', status: 'InProgress' } };

  const pass = async (request: HttpRequest, patch?: (body: Input) => Input): Promise<HttpResponse> => {
    const answer = await http(request);
    if (!answer.ok) return { status: 503, headers: {}, body: Buffer.from('') };
    if (answer.value.status >= 300) {
      const { message = '' } = JSON.parse(answer.value.body.toString() || '{}') as { message?: string };
      const code = answer.value.headers['x-amzn-errortype'] ?? 'InvalidParameterException';
      return refuse(request, answer.value.status, code, message);
    }
    return patch === undefined ? answer.value : jsonAnswer(200, patch(JSON.parse(answer.value.body.toString()) as Input));
  };

  /** What moto says of its address, unless there is a real one; nothing before it is made. */
  const apiServerOf = (name: string, cluster: ClusterThing): Input => {
    if (cluster.status === 'CREATING') return { endpoint: undefined, certificateAuthority: undefined };
    const real = model.controlPlane?.(name);
    return real === undefined ? {} : { endpoint: real.server, certificateAuthority: { data: Buffer.from(real.ca).toString('base64') } };
  };

  const onCluster = async (request: HttpRequest, call: EksCall, cluster: ClusterThing): Promise<HttpResponse | undefined> => {
    const { name, input } = call;
    const isChange = name === 'UpdateClusterVersion' || name === 'UpdateClusterConfig';
    if (isChange && cluster.status !== 'ACTIVE')
      return refuse(request, 409, 'ResourceInUseException', `Cannot ${name} because cluster currently has an update in progress`);
    if (name === 'DescribeCluster') {
      await look(cluster, 'ACTIVE');
      if (cluster.status === 'GONE') return refuse(request, 404, 'ResourceNotFoundException', `No cluster found for name: ${text(input['name'])}.`);
      return pass(request, (body) => {
        const has = body['cluster'] as Input;
        const theirs = model.untagged?.has(text(input['name'])) === true ? { tags: {} } : {};
        return { cluster: { ...has, ...cluster.shown, ...theirs, status: cluster.status, ...apiServerOf(text(input['name']), cluster) } };
      });
    }
    if (name === 'UpdateClusterVersion') {
      if (minor(input['version']) !== minor(cluster.shown['version']) + 1)
        return refuse(
          request,
          400,
          'InvalidParameterException',
          `Unsupported Kubernetes minor version update from ${text(cluster.shown['version'])} to ${text(input['version'])}`,
        );
      begin(cluster, 'UPDATING', model.looks, async () => (cluster.shown['version'] = input['version']));
      return jsonAnswer(200, update);
    }
    if (name === 'UpdateClusterConfig') {
      if (input['logging'] !== undefined && input['resourcesVpcConfig'] !== undefined)
        return refuse(request, 400, 'InvalidParameterException', 'Only one type of update can be allowed.');
      const { name: _name, clientRequestToken: _token, ...changed } = input;
      begin(cluster, 'UPDATING', model.looks, async () => Object.assign(cluster.shown, changed));
      return jsonAnswer(200, update);
    }
    if (name !== 'DeleteCluster') return undefined;
    if (cluster.pools.size > 0) return refuse(request, 409, 'ResourceInUseException', 'Cluster has nodegroups attached');
    if (cluster.status !== 'DELETING')
      begin(cluster, 'DELETING', model.looks, async () => {
        await http({ ...request });
        cluster.status = 'GONE';
        clusters.delete(text(input['name']));
      });
    return jsonAnswer(200, { cluster: { name: input['name'], status: 'DELETING' } });
  };

  const createPool = async (request: HttpRequest, input: Input, cluster: ClusterThing): Promise<HttpResponse> => {
    if (cluster.status !== 'ACTIVE') return refuse(request, 400, 'InvalidRequestException', `Cluster '${text(input['clusterName'])}' is not in ACTIVE status`);
    const key = text(input['nodegroupName']);
    if (cluster.pools.has(key)) return refuse(request, 409, 'ResourceInUseException', `NodeGroup already exists with name ${key}`);
    const { clusterName: _cluster, nodegroupName: _name, clientRequestToken: _token, ...shown } = input;
    const failure = model.failNextPool;
    model.failNextPool = undefined;
    const answer = await pass(request, (body) => ({ nodegroup: { ...(body['nodegroup'] as Input), ...shown, status: 'CREATING' } }));
    if (answer.status >= 300) return answer;
    const pool: Thing = { status: 'CREATING', looksLeft: model.looks, shown: { ...shown, version: input['version'] ?? cluster.shown['version'] } };
    if (failure !== undefined)
      pool.after = async () => {
        pool.status = 'CREATE_FAILED';
        pool.shown['health'] = { issues: [{ ...failure, resourceIds: [] }] };
      };
    cluster.pools.set(key, pool);
    return answer;
  };

  const applyConfig = (pool: Thing, input: Input): void => {
    const labels = input['labels'] as { addOrUpdateLabels?: Input; removeLabels?: string[] } | undefined;
    if (labels !== undefined) {
      const has = { ...(pool.shown['labels'] as Input), ...labels.addOrUpdateLabels };
      for (const key of labels.removeLabels ?? []) delete has[key];
      pool.shown['labels'] = has;
    }
    type Taint = { key?: string; effect?: string };
    const taints = input['taints'] as { addOrUpdateTaints?: Taint[]; removeTaints?: Taint[] } | undefined;
    if (taints !== undefined) {
      const out = [...(taints.addOrUpdateTaints ?? []), ...(taints.removeTaints ?? [])];
      const kept = ((pool.shown['taints'] ?? []) as Taint[]).filter((has) => !out.some((item) => item.key === has.key && item.effect === has.effect));
      pool.shown['taints'] = [...kept, ...(taints.addOrUpdateTaints ?? [])];
    }
    for (const key of ['scalingConfig', 'updateConfig']) if (input[key] !== undefined) pool.shown[key] = input[key];
  };

  const onPool = async (request: HttpRequest, call: EksCall, cluster: ClusterThing): Promise<HttpResponse | undefined> => {
    const { name, input } = call;
    if (name === 'ListNodegroups') return jsonAnswer(200, { nodegroups: [...cluster.pools.keys()] });
    if (name === 'CreateNodegroup') return createPool(request, input, cluster);
    const key = text(input['nodegroupName']);
    const pool = cluster.pools.get(key);
    if (!/Nodegroup/.test(name)) return undefined;
    if (pool === undefined) return refuse(request, 404, 'ResourceNotFoundException', `No node group found for name: ${key}.`);
    if (name === 'DescribeNodegroup') {
      await look(pool, 'ACTIVE');
      if (pool.status === 'GONE') return refuse(request, 404, 'ResourceNotFoundException', `No node group found for name: ${key}.`);
      const theirs = model.untagged?.has(`${text(input['clusterName'])}/${key}`) === true ? { tags: {} } : {};
      return pass(request, (body) => ({ nodegroup: { ...(body['nodegroup'] as Input), ...pool.shown, ...theirs, status: pool.status } }));
    }
    if (name === 'DeleteNodegroup') {
      const remove = async (): Promise<void> => {
        await http(request);
        pool.status = 'GONE';
        cluster.pools.delete(key);
      };
      if (pool.status !== 'DELETING') begin(pool, 'DELETING', model.looks, remove);
      // A list shows it as long as nobody looks at it; EKS needs no looking.
      else await look(pool, 'GONE');
      return jsonAnswer(200, { nodegroup: { nodegroupName: key, status: 'DELETING' } });
    }
    if (pool.status !== 'ACTIVE') return refuse(request, 409, 'ResourceInUseException', `Nodegroup cannot be updated as it is currently not in Active State`);
    if (name === 'UpdateNodegroupConfig') begin(pool, 'UPDATING', model.looks, async () => applyConfig(pool, input));
    else if (minor(input['version']) > minor(cluster.shown['version']))
      return refuse(request, 400, 'InvalidParameterException', 'Requested Nodegroup version is newer than the control plane');
    else begin(pool, 'UPDATING', model.looks, async () => (pool.shown['version'] = input['version']));
    return jsonAnswer(200, update);
  };

  const onAddon = async (request: HttpRequest, { name, input }: EksCall, cluster: ClusterThing): Promise<HttpResponse | undefined> => {
    if (name === 'ListAddons') return jsonAnswer(200, { addons: [...cluster.addons.keys()] });
    const key = text(input['addonName']);
    const addon = cluster.addons.get(key);
    if (name === 'CreateAddon') {
      if (addon !== undefined) return refuse(request, 409, 'ResourceInUseException', 'Addon already exists.');
      const { clusterName: _cluster, clientRequestToken: _token, resolveConflicts: _resolve, ...shown } = input;
      cluster.addons.set(key, { status: 'CREATING', looksLeft: model.looks, shown: { addonVersion: 'v1.0.0-eksbuild.1', ...shown } });
      return jsonAnswer(200, { addon: { ...shown, status: 'CREATING' } });
    }
    if (!name.endsWith('Addon')) return undefined;
    if (addon === undefined) return refuse(request, 404, 'ResourceNotFoundException', `No addon: ${key} found in cluster`);
    if (name === 'DescribeAddon') {
      await look(addon, 'ACTIVE');
      return jsonAnswer(200, { addon: { ...addon.shown, status: addon.status } });
    }
    if (name === 'DeleteAddon') cluster.addons.delete(key);
    else {
      const { addonVersion, configurationValues } = input;
      begin(addon, 'UPDATING', model.looks, async () => Object.assign(addon.shown, { ...(addonVersion === undefined ? {} : { addonVersion }), ...(configurationValues === undefined ? {} : { configurationValues }) })); // prettier-ignore
    }
    return jsonAnswer(200, name === 'DeleteAddon' ? { addon: addon.shown } : update);
  };

  const onEntry = (request: HttpRequest, { name, input }: EksCall, cluster: ClusterThing): HttpResponse | undefined => {
    if (name === 'ListAccessEntries') return jsonAnswer(200, { accessEntries: [...cluster.entries.keys()] });
    const key = text(input['principalArn']);
    const entry = cluster.entries.get(key);
    if (name === 'CreateAccessEntry') {
      if (entry !== undefined) return refuse(request, 409, 'ResourceInUseException', 'The specified access entry resource is already in use on this cluster.');
      const { clientRequestToken: _token, ...shown } = input;
      cluster.entries.set(key, { shown: { type: 'STANDARD', ...shown }, policies: new Set() });
      return jsonAnswer(200, { accessEntry: shown });
    }
    if (!/Access(Entry|Polic)/.test(name)) return undefined;
    if (entry === undefined) return refuse(request, 404, 'ResourceNotFoundException', 'The specified principalArn could not be found.');
    const policyArn = text(input['policyArn']);
    if (name === 'AssociateAccessPolicy') entry.policies.add(policyArn);
    if (name === 'DisassociateAccessPolicy') entry.policies.delete(policyArn);
    if (name === 'DeleteAccessEntry') cluster.entries.delete(key);
    if (name === 'UpdateAccessEntry') entry.shown['kubernetesGroups'] = input['kubernetesGroups'];
    if (name === 'ListAssociatedAccessPolicies') return jsonAnswer(200, { associatedAccessPolicies: [...entry.policies].map((arn) => ({ policyArn: arn })) });
    return jsonAnswer(200, { accessEntry: entry.shown });
  };

  const createCluster = async (request: HttpRequest, input: Input): Promise<HttpResponse> => {
    const key = text(input['name']);
    if (clusters.has(key)) return refuse(request, 409, 'ResourceInUseException', `Cluster already exists with name: ${key}`);
    const answer = await pass(request, (body) => ({ cluster: { ...(body['cluster'] as Input), status: 'CREATING', endpoint: undefined } }));
    if (answer.status >= 300) return answer;
    const { resourcesVpcConfig, logging, version } = input;
    const maker: [string, AccessEntry] = [
      'arn:aws:sts::123456789012:user/moto',
      { shown: { principalArn: 'arn:aws:sts::123456789012:user/moto', kubernetesGroups: [] }, policies: new Set(['arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy']) }, // prettier-ignore
    ];
    clusters.set(key, { status: 'CREATING', looksLeft: model.looks, shown: { resourcesVpcConfig, logging, version }, pools: new Map(), addons: new Map(), entries: new Map([maker]) }); // prettier-ignore
    return answer;
  };

  const answer = async (request: HttpRequest): Promise<HttpResponse> => {
    const call = eksCallOf(request);
    if (call === undefined) return refuse(request, 404, 'NotFoundException', `${request.method} ${request.url} is no operation of EKS`);
    if (call.unknown.length > 0) return refuse(request, 400, 'InvalidParameterException', `the model of ${call.name} has no ${call.unknown.join(', ')}`);
    if (call.name === 'DescribeClusterVersions')
      return jsonAnswer(200, { clusterVersions: supported.map((clusterVersion) => ({ clusterVersion, defaultVersion: clusterVersion === '1.34', versionStatus: 'STANDARD_SUPPORT' })) }); // prettier-ignore
    if (call.name === 'ListClusters') return jsonAnswer(200, { clusters: [...clusters.keys()] });
    if (call.name === 'CreateCluster') return createCluster(request, call.input);
    const key = text(call.input['clusterName'] ?? call.input['name']);
    const cluster = clusters.get(key);
    if (cluster === undefined) return refuse(request, 404, 'ResourceNotFoundException', `No cluster found for name: ${key}.`);
    const said =
      (await onCluster(request, call, cluster)) ??
      (await onPool(request, call, cluster)) ??
      (await onAddon(request, call, cluster)) ??
      onEntry(request, call, cluster);
    return said ?? refuse(request, 400, 'InvalidParameterException', `${call.name} is not in our model of EKS`);
  };

  return async (request) => (serviceOf(request) === 'eks' ? { ok: true, value: await answer(request) } : http(request));
};
