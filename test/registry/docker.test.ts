import { clientFor } from './rig.ts';
import { login, reasonText, registryMissing, startRegistry } from './docker-registry.ts';
import { registrySuite } from './suite.ts';

registrySuite(
  `client against docker-registry${reasonText}`,
  async () => {
    const registry = await startRegistry();
    const rig = clientFor();
    return {
      client: rig.client,
      base: `${registry.host}/suite`,
      close: async () => {
        rig.close();
        await registry.remove();
      },
    };
  },
  registryMissing !== '',
);

registrySuite(
  `client against docker-registry with a password${reasonText}`,
  async () => {
    const registry = await startRegistry({ auth: true });
    const rig = clientFor({ [registry.host]: { credentials: login } });
    return {
      client: rig.client,
      base: `${registry.host}/suite`,
      close: async () => {
        rig.close();
        await registry.remove();
      },
    };
  },
  registryMissing !== '',
);
