import { infrastructureSchema } from '@groundplane/protocol/environment/infrastructure';

/** Of the one cluster of the fixture that the hub makes. */
export const madeByTheHub = infrastructureSchema.parse({
  environment: 'aws',
  account: 'production',
  placement: { region: 'eu-central-1' },
  pools: [{ name: 'servers', role: 'control-plane', count: 3, size: 'm6i.large' }],
  protected: true,
});
