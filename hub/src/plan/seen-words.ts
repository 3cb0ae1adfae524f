interface Seen {
  version: string;
  nodes: number;
  nodesReady: number;
  workloads: number;
  more?: readonly ('nodes' | 'workloads')[] | undefined;
}

/** What a look at somebody else's cluster saw; where not everything was counted, it says so. */
export const seenWords = ({ version, nodes, nodesReady, workloads, more = [] }: Seen): string => {
  const ready = more.includes('nodes') ? `at least ${nodesReady} ready of at least ${nodes} nodes` : `${nodesReady} of ${nodes} nodes ready`;
  return `Kubernetes ${version}, ${ready}, ${more.includes('workloads') ? 'at least ' : ''}${workloads} workloads`;
};
