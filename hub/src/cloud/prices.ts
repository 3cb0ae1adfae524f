import type { Prices } from '../plan/cost.ts';

/**
 * A small list for a first estimate: on-demand list prices of common sizes in one region of each cloud, rounded, as their price pages said in 2025. Prices
 * change and differ by region and contract: an operator replaces the whole list (`gp cloud prices set FILE`).
 */
export const builtInPrices: { source: string; prices: Prices } = {
  source: 'built in: rounded list prices of 2025, US regions',
  prices: {
    aws: {
      '*': {
        't3.medium': 0.0416,
        't3.large': 0.0832,
        't3.xlarge': 0.1664,
        'm5.large': 0.096,
        'm5.xlarge': 0.192,
        'm6i.large': 0.096,
        'm6i.xlarge': 0.192,
        'm7i.large': 0.1008,
        'm7i.xlarge': 0.2016,
        'c6i.xlarge': 0.17,
        'r6i.large': 0.126,
        'r6i.xlarge': 0.252,
      },
    },
    eks: {
      '*': {
        'control-plane': 0.1,
        't3.medium': 0.0416,
        't3.large': 0.0832,
        'm5.large': 0.096,
        'm5.xlarge': 0.192,
        'm6i.large': 0.096,
        'm6i.xlarge': 0.192,
        'm7i.large': 0.1008,
        'm7i.xlarge': 0.2016,
      },
    },
    azure: {
      '*': { Standard_B2s: 0.0416, Standard_B2ms: 0.0832, Standard_D2s_v5: 0.096, Standard_D4s_v5: 0.192, Standard_D8s_v5: 0.384, Standard_E2s_v5: 0.126 },
    },
    aks: { '*': { 'control-plane': 0.1, Standard_B2ms: 0.0832, Standard_D2s_v5: 0.096, Standard_D4s_v5: 0.192, Standard_D8s_v5: 0.384 } },
    google: { '*': { 'e2-medium': 0.0335, 'e2-standard-2': 0.067, 'e2-standard-4': 0.134, 'n2-standard-2': 0.0971, 'n2-standard-4': 0.1942 } },
    gke: {
      '*': { 'control-plane': 0.1, 'e2-medium': 0.0335, 'e2-standard-2': 0.067, 'e2-standard-4': 0.134, 'n2-standard-2': 0.0971, 'n2-standard-4': 0.1942 },
    },
  },
};
