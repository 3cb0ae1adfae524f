import { agentInstall } from './agent-install.ts';
import { baseline } from './baseline.ts';
import { boot } from './boot.ts';
import { insidePod } from './inside-pod.ts';
import { kubeadmInstall } from './kubeadm-install.ts';
import { kubeadmKeep } from './kubeadm-keep.ts';
import { kubeadmOne } from './kubeadm-one.ts';
import { kubeadmThree } from './kubeadm-three.ts';
import { kubeadmUpgrade } from './kubeadm-upgrade.ts';
import { osPackages } from './os-packages.ts';
import { bootCount } from './boot-count.ts';
import { image, imageArm64 } from './image.ts';
import type { Scenario } from './scenario.ts';
import { sysupdate } from './sysupdate.ts';

/** In the order in which they run: what the next ones rely on comes first. */
export const scenarios: readonly Scenario[] = [
  boot,
  baseline,
  sysupdate,
  bootCount,
  agentInstall,
  osPackages,
  kubeadmInstall,
  kubeadmOne,
  kubeadmUpgrade,
  kubeadmThree,
  kubeadmKeep,
  insidePod,
  image,
  imageArm64,
];
