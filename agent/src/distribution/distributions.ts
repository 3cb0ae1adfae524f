import type { Clock } from '../port/clock.ts';
import type { Distribution } from '../port/distribution.ts';
import type { Tools } from '../port/tools.ts';
import { kubeadmDistribution } from './kubeadm.ts';
import { rancherDistribution } from './rancher.ts';

/** The distributions that this agent can bring up, each made once. */
export const distributions = (deps: { tools: Tools; clock: Clock }): ((name: string) => Distribution | undefined) => {
  const made = new Map<string, Distribution>();
  const make: Record<string, () => Distribution> = {
    kubeadm: () => kubeadmDistribution(deps),
    k3s: () => rancherDistribution('k3s', deps),
    rke2: () => rancherDistribution('rke2', deps),
  };
  return (name) => {
    const known = made.get(name) ?? make[name]?.();
    if (known !== undefined) made.set(name, known);
    return known;
  };
};
