import { DescribeClusterVersionsCommand } from '@aws-sdk/client-eks';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { Offers } from '../../port/provider.ts';
import { readOffers as readAwsOffers } from '../aws/offers.ts';
import { pages } from '../aws/network-read.ts';
import type { EksCloud } from './read.ts';

/** EKS' own images for nodes; by default the newest Amazon Linux for the size's architecture. */
const images: Offers['images'] = [
  { name: 'AL2023_x86_64_STANDARD', title: 'Amazon Linux 2023, x86_64' },
  { name: 'AL2023_ARM_64_STANDARD', title: 'Amazon Linux 2023, arm64' },
  { name: 'AL2023_x86_64_NVIDIA', title: 'Amazon Linux 2023 with NVIDIA drivers, x86_64' },
  { name: 'BOTTLEROCKET_x86_64', title: 'Bottlerocket, x86_64' },
  { name: 'BOTTLEROCKET_ARM_64', title: 'Bottlerocket, arm64' },
];

const minorOf = (version: string): number => Number(version.split('.')[1] ?? 0);

/** Newest first, with the end of their standard support. */
export const readVersions = async (cloud: EksCloud): Promise<Result<NonNullable<Offers['versions']>>> => {
  const found = await pages(
    cloud,
    'Kubernetes versions of EKS',
    'eks:DescribeClusterVersions',
    async (nextToken) => {
      const page = await cloud.eks.send(new DescribeClusterVersionsCommand({ nextToken }));
      return { versions: page.clusterVersions, NextToken: page.nextToken };
    },
    (page) => page.versions,
  );
  if (!found.ok) return found;
  const versions = found.value
    .filter((item) => item.versionStatus !== 'UNSUPPORTED')
    .toSorted((a, b) => minorOf(b.clusterVersion ?? '') - minorOf(a.clusterVersion ?? ''))
    .map((item) => ({
      name: item.clusterVersion ?? '',
      ...(item.defaultVersion === true ? { isDefault: true } : {}),
      ...(item.endOfStandardSupportDate === undefined ? {} : { endOfSupport: item.endOfStandardSupportDate.toISOString().slice(0, 10) }),
    }));
  return ok(versions);
};

export const readOffers = async (cloud: EksCloud): Promise<Result<Offers>> => {
  const versions = await readVersions(cloud);
  if (!versions.ok) return versions;
  const rest = await readAwsOffers(cloud);
  return rest.ok ? ok({ ...rest.value, images, versions: versions.value }) : rest;
};
