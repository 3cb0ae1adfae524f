/** The network of a cluster, as far as it is ours, without the SDK's shapes. */
export type Face = 'public' | 'private';

export interface Subnet {
  id: string;
  vpc: string;
  zone: string;
  cidr: string;
  /** Of ours: what it is for. Of others: whether its route table has a way to an internet gateway. */
  face: Face;
}

/** `tcp 6443 10.0.0.0/16`, `all sg-0abc`. */
export type Rule = string;

export interface NetworkFacts {
  /** Zones that can be used in the region, sorted. */
  zones: readonly string[];
  vpcs: readonly { id: string; cidr: string }[];
  gateways: readonly { id: string; vpc?: string | undefined }[];
  subnets: readonly Subnet[];
  tables: readonly { id: string; name: string; defaultTarget?: string | undefined; associations: readonly { id: string; subnet: string }[] }[];
  /** `pending`, `available`, `failed`, `deleting`, `deleted`. Deleted ones are told for an hour. */
  nats: readonly { id: string; name: string; state: string; publicIps: readonly string[]; message?: string | undefined }[];
  addresses: readonly { id: string; name: string; publicIp: string }[];
  groups: readonly { id: string; name: string; vpc: string; rules: readonly Rule[] }[];
}
