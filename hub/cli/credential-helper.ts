import { execFile } from 'node:child_process';
import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Credentials } from '../src/registry/docker-config.ts';

const timeoutMs = 30_000;
const outputBytesMax = 64 * 1024;

const answerSchema = z.looseObject({ Username: z.string().max(1_024), Secret: z.string().min(1).max(32_768) });

const readAnswer = (text: string): Credentials | undefined => {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = answerSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const { Username: username, Secret: secret } = parsed.data;
  // Docker's convention: with this user name the secret is an OAuth2 refresh token.
  return username === '<token>' ? { username: '', password: '', identityToken: secret } : { username, password: secret };
};

/**
 * Asks `docker-credential-NAME get`, as Docker does: the host goes in by standard input, `{"Username", "Secret"}` comes out. Run without a shell, for so long and
 * so much only. Its output is never printed, since it may hold the secret. Undefined: it knows nothing of this host.
 */
export const askHelper = async (
  helper: string,
  server: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Result<Credentials | undefined>> => {
  const program = `docker-credential-${helper}`;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(helper))
    return fail('fatal', 'credentials-invalid', "Docker's config.json", 'names a credential helper that is no plain name');
  const { promise, resolve } = Promise.withResolvers<Result<Credentials | undefined>>();
  const wrong = (why: string): Result<never> => fail('blocked', 'credentials-invalid', program, `${why}; use --username with --password-stdin instead`);
  const child = execFile(program, ['get'], { env, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: outputBytesMax }, (error, stdout) => {
    if (error === null) {
      const credentials = readAnswer(stdout);
      resolve(credentials === undefined ? wrong(`its answer for ${server} is not what Docker's helpers say`) : ok(credentials));
      return;
    }
    if (error.code === 'ENOENT') resolve(wrong('is named by the config.json of Docker and is not installed'));
    else if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') resolve(wrong(`says more than ${outputBytesMax} bytes`));
    else if (error.killed === true) resolve(wrong(`did not answer within ${timeoutMs / 1_000} s`));
    // This sentence is the only way in which helpers tell it.
    else if (/credentials not found/i.test(stdout)) resolve(ok(undefined));
    else resolve(wrong(`ended with code ${String(error.code)} when it was asked for ${server}`));
  });
  // One that ends without reading closes the pipe; its exit code says the rest.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(`${server}\n`);
  return promise;
};
