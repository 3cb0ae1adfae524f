import { z } from 'zod';
import { agentArchs, type AgentArch } from '../agent-package.ts';
import { digestSchema } from '../digest.ts';
import { limits } from '../limits.ts';

/** Distributions that the agent installs and upgrades itself. */
export const managedDistributions = ['kubeadm', 'k3s', 'rke2'] as const;
export type ManagedDistribution = (typeof managedDistributions)[number];

/** Architectures that content can be for: those that agents are built for. */
export const architectures = agentArchs;
export type Architecture = AgentArch;

/** `1.37.2`, `v1.37.2`, `1.33.1+k3s1`, `v1.33.1+rke2r2`. */
const exactVersion = z
  .string()
  .max(64)
  .regex(/^v?1\.\d{1,3}\.\d{1,3}(-(alpha|beta|rc)\.\d+)?(\+[a-z0-9.]+)?$/, 'must be one exact version like 1.37.2 (k3s and rke2: 1.33.1+k3s1)');

const cidr = z
  .string()
  .max(49)
  .regex(/^[0-9a-fA-F:.]+\/\d{1,3}$/, 'must be a network like 10.244.0.0/16');

const yamlText = z.string().max(limits.objectBytes);

/**
 * A Kubernetes layer that the agent brings up itself. `content` names what `gp kubernetes upload` put into the content store, by architecture; without it the
 * programs and images are expected on the host (from its image, its packages or system extensions).
 */
export const managedKubernetesSchema = z.strictObject({
  distribution: z.enum(managedDistributions),
  version: exactVersion,
  content: z.partialRecord(z.enum(architectures), digestSchema).optional(),
  network: z
    .strictObject({
      podCidrs: z.array(cidr).min(1).max(2).default(['10.244.0.0/16']),
      serviceCidrs: z.array(cidr).min(1).max(2).default(['10.96.0.0/16']),
      dnsDomain: z.string().max(253).default('cluster.local'),
    })
    .prefault({}),
  /** `bridge`: a bridge on each host, enough for one host or where the site's routers know the pod networks. `none`: a network layer brings one. */
  cni: z.enum(['bridge', 'none']).default('none'),
  /** Cluster DNS and service proxy as the distribution brings them; false where a network layer replaces them. */
  dns: z.boolean().default(true),
  proxy: z.enum(['iptables', 'nftables', 'none']).default('iptables'),
  /** Merged over what we generate, as YAML: for kubeadm by kind, for k3s and rke2 the keys of their configuration file. */
  config: z
    .strictObject({
      cluster: yamlText.optional(),
      kubelet: yamlText.optional(),
      proxy: yamlText.optional(),
      server: yamlText.optional(),
      agent: yamlText.optional(),
      /** Checks of kubeadm that may fail here, by name; `all` passes over every one. */
      ignoreErrors: z
        .array(z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/))
        .max(50)
        .default([]),
    })
    .prefault({}),
  upgrade: z
    .strictObject({
      /** Pods are moved away first, where there is another host to take them. */
      drain: z.boolean().default(true),
      drainTimeoutSeconds: z.int().min(10).max(86_400).default(600),
      /** Workers at a time; control planes always go one by one. */
      workersAtOnce: z.int().min(1).max(100).default(1),
    })
    .prefault({}),
  /** Snapshots of the datastore, taken by each control plane onto its own disk. */
  snapshots: z.strictObject({ everyHours: z.int().min(1).max(720).default(12), keep: z.int().min(1).max(100).default(5) }).prefault({}),
});
export type ManagedKubernetes = z.infer<typeof managedKubernetesSchema>;

/** `v1.37.2` of any way to write it. */
export const versionTag = (version: string): string => `v${version.replace(/^v/, '')}`;

/** Major and minor of a version of Kubernetes; undefined when it is not one. */
export const minorOf = (version: string): number | undefined => {
  const match = /^v?1\.(\d+)\./.exec(version);
  return match?.[1] === undefined ? undefined : Number(match[1]);
};
