import type { Uploads } from '../media/upload.ts';
import type { Importer } from '../media/job.ts';
import type { Guard } from './guard.ts';
import type { NetworkTrials } from './network.ts';
import type { ProxyStore } from './proxy-settings.ts';

/** Logs that the page shows; nobody names a unit of his own. */
export const logUnits = ['groundplane-agent', 'kubelet', 'containerd', 'k3s', 'k3s-agent', 'rke2-server', 'rke2-agent', 'systemd-networkd'] as const;
export type LogUnit = (typeof logUnits)[number];

/** What a person with the password can do on the local page. */
export interface Control {
  guard: Guard;
  importer: Importer;
  uploads: Uploads;
  network: NetworkTrials;
  proxy: Pick<ProxyStore, 'read' | 'write'>;
  /** Names and addresses of this machine's interfaces. */
  interfaces: () => { name: string; addresses: string[] }[];
  /** The last lines of a unit, bounded. */
  logs: (unit: LogUnit) => Promise<string>;
}
