import { done, usage, type Attempt } from './trouble.ts';

const isLoopback = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);

/** A set-up link carries its token behind the `#`, where no server's log sees it. */
export const parseSetupLink = (link: string): Attempt<{ hub: string; token: string }> => {
  const wrong = {
    ok: false as const,
    trouble: usage(
      'set-up link',
      'it looks like http://host:port/setup#TOKEN',
      'quote it, since # begins a comment in a shell: gp login --setup "http://host:port/setup#TOKEN" --name NAME',
    ),
  };
  if (!URL.canParse(link)) return wrong;
  const url = new URL(link);
  const token = decodeURIComponent(url.hash.slice(1));
  return url.pathname.endsWith('/setup') && token !== '' ? done({ hub: url.origin, token }) : wrong;
};

/** `host:port` or a URL as `http://host:port`. Without a scheme it is http for this machine and https for every other. */
export const parseHub = (text: string): Attempt<string> => {
  const wrong = (why: string) => ({ ok: false as const, trouble: usage(`hub ${text}`, why, 'write it like https://hub.example:7600') });
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  const full = hasScheme ? text : `https://${text}`;
  if (!URL.canParse(full)) return wrong('this is not an address');
  const url = new URL(full);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return wrong(`${url.protocol}// is not understood; hubs speak https and http`);
  if (url.username !== '' || url.password !== '') return wrong('an address holds no name or password; log in with --token');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') return wrong('give the address without a path');
  return done(hasScheme || !isLoopback(url.hostname) ? url.origin : `http://${url.host}`);
};

/** A key over plain http can be read by everybody on the way. */
export const checkSecure = (hub: string, isAllowed: boolean): Attempt<void> => {
  const url = new URL(hub);
  if (url.protocol === 'https:' || isLoopback(url.hostname) || isAllowed) return done(undefined);
  return {
    ok: false,
    trouble: usage(
      `hub ${hub}`,
      'it is on another machine and speaks plain http: everybody on the way could read the key',
      `use https://${url.host}, or add --insecure when you trust the network`,
    ),
  };
};
