import { agentInstall } from './agent-install.ts';
import { baseline } from './baseline.ts';
import { boot } from './boot.ts';
import { kubeadmOne } from './kubeadm-one.ts';
import { kubeadmThree } from './kubeadm-three.ts';
import { kubeadmUpgrade } from './kubeadm-upgrade.ts';
import { osPackages } from './os-packages.ts';
import type { Scenario } from './scenario.ts';

/** In the order in which they run: what the next ones rely on comes first. */
export const scenarios: readonly Scenario[] = [boot, baseline, agentInstall, osPackages, kubeadmOne, kubeadmUpgrade, kubeadmThree];
