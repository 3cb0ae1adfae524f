import type { ClusterLayerView } from '@groundplane/protocol/api/views';

/** What a host that is away has to do with one layer when it comes back, as far as the hub knows. */
export interface ReturnStep {
  action: 'install' | 'upgrade' | 'remove' | 'repair';
  layer: string;
  from?: string;
  to?: string;
}

/** In the order of the layers; what has to go comes last, as on the host. Layers that are as desired are left out. */
export const onReturn = (layers: readonly ClusterLayerView[]): ReturnStep[] => {
  const steps = layers.flatMap((layer): ReturnStep[] => {
    const { desired, observed } = layer;
    if (desired === undefined) return [{ action: 'remove', layer: layer.name, ...(observed === undefined ? {} : { from: observed.pack.version }) }];
    if (observed === undefined || observed.digest === '') return [{ action: 'install', layer: layer.name, to: desired.pack.version }];
    if (observed.digest !== desired.digest) return [{ action: 'upgrade', layer: layer.name, from: observed.pack.version, to: desired.pack.version }];
    return observed.state === 'ready' ? [] : [{ action: 'repair', layer: layer.name, to: desired.pack.version }];
  });
  return [...steps.filter((step) => step.action !== 'remove'), ...steps.filter((step) => step.action === 'remove')];
};

export const returnText = ({ action, layer, from, to }: ReturnStep): string => {
  switch (action) {
    case 'install':
      return `install ${layer} ${to ?? ''}`.trim();
    case 'upgrade':
      return from === to ? `upgrade ${layer} to new content of ${to ?? ''}` : `upgrade ${layer} from ${from ?? ''} to ${to ?? ''}`;
    case 'remove':
      return `remove ${layer}`;
    case 'repair':
      return `bring ${layer} back to ready`;
    default:
      return action satisfies never;
  }
};
