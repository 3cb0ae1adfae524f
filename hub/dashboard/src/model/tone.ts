import type { ClusterState } from '@groundplane/protocol/cluster-state';
import type { LayerKind } from '@groundplane/protocol/layer';
import type { HostPhase, LayerState } from '@groundplane/protocol/observed';

/** How a state looks. Few enough to tell apart; the word beside it says the rest, so colour alone never carries it. */
export const tones = ['good', 'busy', 'warn', 'bad', 'idle', 'off'] as const;
export type Tone = (typeof tones)[number];

export const clusterTone: Readonly<Record<ClusterState, Tone>> = {
  ready: 'good',
  applying: 'busy',
  degraded: 'warn',
  blocked: 'warn',
  failed: 'bad',
  waiting: 'idle',
  unresolved: 'bad',
  deleting: 'off',
};

export const phaseTone: Readonly<Record<HostPhase, Tone>> = {
  idle: 'idle',
  staging: 'busy',
  applying: 'busy',
  converged: 'good',
  degraded: 'warn',
  blocked: 'warn',
  'rolled-back': 'bad',
  failed: 'bad',
};

export const layerTone: Readonly<Record<LayerState, Tone>> = {
  pending: 'idle',
  applying: 'busy',
  waiting: 'busy',
  ready: 'good',
  degraded: 'warn',
  blocked: 'warn',
  failed: 'bad',
  removing: 'off',
};

export const kindTitle: Readonly<Record<LayerKind, string>> = { os: 'OS', kubernetes: 'Kubernetes', network: 'Network', storage: 'Storage', addon: 'Add-on' };
