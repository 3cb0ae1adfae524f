import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { credentialKeysOf } from './oci-reference.ts';

/** What proves who we are to one host. Never printed: messages name the host only. */
export interface Credentials {
  username: string;
  password: string;
  /** An OAuth2 refresh token, as `docker login` keeps it for registries that give one. */
  identityToken?: string;
}

const configSchema = z.looseObject({
  auths: z
    .record(
      z.string(),
      z.looseObject({ auth: z.string().optional(), username: z.string().optional(), password: z.string().optional(), identitytoken: z.string().optional() }),
    )
    .optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: z.string().optional(),
});

export interface DockerConfig {
  /** Undefined when the file has nothing for this host. */
  credentials(registry: string): Credentials | undefined;
  /** The program that holds this host's credentials instead of the file, without its prefix `docker-credential-`, and how it knows the host. */
  outsideOf(registry: string): { helper: string; server: string } | undefined;
}

/** `https://registry.example/v1/` and `registry.example` name the same host. */
const bare = (key: string): string => key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');

const decode = (auth: string): Credentials | undefined => {
  const text = Buffer.from(auth, 'base64').toString('utf8').replaceAll('\0', '');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
};

/** Reads Docker's config.json (also Podman's and Helm's). `auth` is base64 of `user:password`. `element` names the file. */
export const parseDockerConfig = (text: string, element: string): Result<DockerConfig> => {
  let json: unknown;
  try {
    json = JSON.parse(text === '' ? '{}' : text);
  } catch {
    return fail('fatal', 'credentials-invalid', element, 'is not JSON');
  }
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) return fail('fatal', 'credentials-invalid', element, 'is not a config.json of Docker: "auths" maps hosts to credentials');
  const { auths = {}, credHelpers = {}, credsStore } = parsed.data;
  const entryOf = (registry: string) => {
    const keys = credentialKeysOf(registry);
    for (const key of keys) {
      const exact = auths[key];
      if (exact !== undefined) return exact;
    }
    const found = Object.entries(auths).find(([key]) => keys.some((wanted) => bare(key) === bare(wanted)));
    return found?.[1];
  };
  return ok({
    credentials: (registry) => {
      const entry = entryOf(registry);
      if (entry === undefined) return undefined;
      const decoded = entry.auth === undefined || entry.auth === '' ? undefined : decode(entry.auth);
      const identity = entry.identitytoken === undefined || entry.identitytoken === '' ? {} : { identityToken: entry.identitytoken };
      if (decoded !== undefined) return { ...decoded, ...identity };
      if (entry.username !== undefined && entry.password !== undefined) return { username: entry.username, password: entry.password, ...identity };
      return entry.identitytoken === undefined || entry.identitytoken === '' ? undefined : { username: '', password: '', ...identity };
    },
    outsideOf: (registry) => {
      const keys = credentialKeysOf(registry);
      for (const server of keys) {
        const helper = credHelpers[server];
        if (helper !== undefined && helper !== '') return { helper, server };
      }
      return credsStore === undefined || credsStore === '' ? undefined : { helper: credsStore, server: keys[0] ?? registry };
    },
  });
};
