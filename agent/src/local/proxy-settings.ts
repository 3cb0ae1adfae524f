import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { z } from 'zod';
import { isProxyUrl, type ProxyEnv } from '../link/hub-agents.ts';
import { writeDurably } from '../system/durable.ts';

/** The proxy on the way to the hub, as somebody set it on this device; it comes over that of the environment. */
export const proxySettingsSchema = z.strictObject({
  url: z.string().max(1024).refine(isProxyUrl, 'must be like http://proxy.example:3128, and a percent sign in its password is written %25').optional(),
  /** Names, `.domains`, addresses and networks (`10.0.0.0/8`) that are reached directly. */
  except: z.array(z.string().regex(/^[^\s,]{1,253}$/)).max(100),
});
export type ProxySettings = z.infer<typeof proxySettingsSchema>;

const fileOf = (data: string): string => join(data, 'proxy.json');

/** Undefined: nobody set any here, or the file cannot be read. */
const read = (data: string): ProxySettings | undefined => {
  try {
    return proxySettingsSchema.parse(JSON.parse(readFileSync(fileOf(data), 'utf8')));
  } catch {
    return undefined;
  }
};

export const parseProxyForm = (form: URLSearchParams): Result<ProxySettings> => {
  const url = (form.get('proxy') ?? '').trim();
  const parsed = proxySettingsSchema.safeParse({
    ...(url === '' ? {} : { url }),
    except: (form.get('except') ?? '').split(/[\s,]+/).filter((part) => part !== ''),
  });
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  return fail('fatal', 'network-invalid', `proxy, ${issue?.path.join('.') ?? ''}`, issue?.message ?? 'cannot be understood');
};

/** Read once and kept, since it is asked for at each connection to the hub; nobody else writes the file. */
export const createProxySettings = (data: string, env: ProxyEnv = process.env) => {
  let now = read(data);
  return {
    read: (): ProxySettings | undefined => now,
    /** An empty form means: directly, whatever the environment says. */
    write: (settings: ProxySettings): Result<void> => {
      const file = fileOf(data);
      if (!writeDurably(file, `${JSON.stringify(settings)}\n`)) return fail('blocked', 'disk-error', file, 'cannot be written; is the disk full or read-only?');
      now = settings;
      return ok(undefined);
    },
    /** What connections to the hub go by now. */
    env: (): ProxyEnv => (now === undefined ? env : { HTTPS_PROXY: now.url, NO_PROXY: now.except.join(',') }),
  };
};
export type ProxyStore = ReturnType<typeof createProxySettings>;
