import type { Bundle, BundleLayer } from '@groundplane/protocol/bundle';
import type { State } from '../store/state.ts';

/** Images that a medium brought and no bundle lists: the mirror answers them, and they are kept until the next medium. */
export type Carried = Pick<BundleLayer, 'blobs' | 'oci'>;
export const carriedKey = 'carried';

/** As a bundle of one layer, for whoever reads bundles. */
export const carriedBundle = (state: Pick<State, 'kv'>): Pick<Bundle, 'layers'>[] => {
  const carried = state.kv<Carried>(carriedKey);
  return carried === undefined ? [] : [{ layers: [carried as BundleLayer] }];
};
