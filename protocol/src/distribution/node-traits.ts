/** A taint as the API server has it. */
export interface NodeTaint {
  key: string;
  value?: string | undefined;
  effect: string;
}

/** Labels and taints that somebody wants on a node. */
export interface NodeTraits {
  labels: Readonly<Record<string, string>>;
  taints: readonly NodeTaint[];
}

/** Which of a node's traits are ours: keys of labels, `key:effect` of taints. Everything else belongs to others and stays. */
export interface GivenTraits {
  labels: readonly string[];
  taints: readonly string[];
}

/** A node with what is on it. `given`: undefined where we never noted any. */
export interface TraitsNow extends NodeTraits {
  given: GivenTraits | undefined;
}

const idOf = (taint: NodeTaint): string => `${taint.key}:${taint.effect}`;
const isSameTaint = (a: NodeTaint | undefined, b: NodeTaint): boolean => a !== undefined && (a.value ?? '') === (b.value ?? '');
const isSameList = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((item, index) => item === b[index]);

/**
 * What a node's labels and taints have to become; undefined when they are as wanted. Ours that are no longer wanted go; those of others stay, as the
 * API server's own (`node.kubernetes.io/not-ready`). What a host had before anything was noted is not ours until it is wanted once.
 */
export const traitsToSet = (now: TraitsNow, want: NodeTraits): (NodeTraits & { given: GivenTraits }) | undefined => {
  const given: GivenTraits = { labels: Object.keys(want.labels).toSorted(), taints: want.taints.map(idOf).toSorted() };
  const before = now.given ?? { labels: [], taints: [] };
  const isNoted = isSameList(before.labels.toSorted(), given.labels) && isSameList(before.taints.toSorted(), given.taints);
  const hasLabels = Object.entries(want.labels).every(([key, value]) => now.labels[key] === value);
  const hasTaints = want.taints.every((taint) =>
    isSameTaint(
      now.taints.find((item) => idOf(item) === idOf(taint)),
      taint,
    ),
  );
  if (isNoted && hasLabels && hasTaints) return undefined;
  const [oldLabels, oldTaints] = [new Set(before.labels), new Set([...before.taints, ...given.taints])];
  return {
    given,
    labels: { ...Object.fromEntries(Object.entries(now.labels).filter(([key]) => !oldLabels.has(key))), ...want.labels },
    taints: [...now.taints.filter((taint) => !oldTaints.has(idOf(taint))), ...want.taints],
  };
};

/**
 * Whether a kubelet may give itself this label when it registers. It refuses to start with any other one of Kubernetes' own (kubelet `--node-labels`;
 * admission plugin NodeRestriction); those are put on by a control plane.
 */
export const isKubeletLabel = (key: string): boolean => {
  const [prefix, name] = key.includes('/') ? [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)] : ['', key];
  const isTheirs = ['kubernetes.io', 'k8s.io'].some((domain) => prefix === domain || prefix.endsWith(`.${domain}`));
  if (!isTheirs) return true;
  if (['kubelet.kubernetes.io', 'node.kubernetes.io'].some((domain) => prefix === domain || prefix.endsWith(`.${domain}`))) return true;
  return (
    (prefix === 'kubernetes.io' && ['hostname', 'os', 'arch'].includes(name)) ||
    (prefix === 'beta.kubernetes.io' && ['os', 'arch', 'instance-type'].includes(name)) ||
    (['topology.kubernetes.io', 'failure-domain.beta.kubernetes.io'].includes(prefix) && ['region', 'zone'].includes(name))
  );
};
