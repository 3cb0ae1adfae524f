import { isPlainMap } from '../pack/source.ts';
import { add, ignore, textOf, walk, warn, wordsOf, isUnset, type Take } from './foreign.ts';

/** `255.255.254.0`, `23` and `/23`. */
const prefixOfMask = (mask: string): number | undefined => {
  if (/^\/?\d{1,3}$/.test(mask)) return Number(mask.replace('/', ''));
  const bits = mask
    .split('.')
    .map((part) => (/^\d{1,3}$/.test(part) && Number(part) < 256 ? Number(part).toString(2).padStart(8, '0') : '?'))
    .join('');
  return /^1*0*$/.test(bits) && bits.length === 32 ? bits.lastIndexOf('1') + 1 : undefined;
};

const takeInterface: Take = (value, from, draft) => {
  const at = from.join('.');
  const found: Record<string, unknown> = {};
  const keep =
    (key: string): Take =>
    (item) => {
      if (!isUnset(item)) found[key] = item;
    };
  const names = ['type', 'ipAddress', 'mask', 'gateway', 'nameserver', 'mtu'];
  walk(value, Object.fromEntries(names.map((name) => [name, keep(name)])), from, draft);
  const type = (textOf(found['type']) ?? 'dhcp').toLowerCase();
  const dns = wordsOf(found['nameserver']);
  const mtu = found['mtu'] === undefined ? {} : { mtu: found['mtu'] };
  if (type !== 'static') {
    if (type !== 'dhcp') warn(draft, from, 'user-data-shape', `${at}: type is dhcp or static; it is read as dhcp`);
    for (const key of ['ipAddress', 'mask', 'gateway'])
      if (found[key] !== undefined) ignore(draft, [...from, key], 'the type of this interface is not static, so it gets DHCP. Write type: static');
    draft.interfaces.set(String(from.at(-1)), { from, value: { dhcp: true, dns, ...mtu } });
    return;
  }
  const [ip, mask, gateway] = [textOf(found['ipAddress']), textOf(found['mask']), textOf(found['gateway'])];
  const prefix = mask === undefined ? undefined : prefixOfMask(mask);
  if (mask !== undefined && prefix === undefined) warn(draft, [...from, 'mask'], 'user-data-shape', `${at}.mask: is no mask like 255.255.255.0`);
  draft.interfaces.set(String(from.at(-1)), {
    from,
    value: {
      addresses: ip === undefined ? [] : [ip.includes('/') || prefix === undefined ? ip : `${ip}/${prefix}`],
      dns,
      ...mtu,
      ...(gateway === undefined ? {} : { gateway }),
    },
  });
};

/** Interfaces by name: an address with its prefix, or with a mask beside it. */
export const takeInterfaces: Take = (value, path, draft) => {
  if (isUnset(value)) return;
  if (!isPlainMap(value)) return warn(draft, path, 'user-data-shape', `${path.join('.')} is no map of interfaces by name; it is not used`);
  for (const [name, item] of Object.entries(value)) takeInterface(item ?? {}, [...path, name], draft);
};

/**
 * Rules are `from: to` by prefix, and what follows the prefix is kept. A mirror of the container runtime replaces the registry's name and keeps the whole path behind
 * it, so a rule can be kept when `to` ends with the path of `from`: then what is before that path is the place of the mirror (distribution specification: below /v2/).
 */
const endpointOf = (from: string, to: string): string | undefined => {
  const [scheme] = /^https?:\/\//.exec(to) ?? ['https://'];
  const [host = '', ...place] = to
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .split('/');
  const path = from.replace(/\/+$/, '').split('/').slice(1);
  if (host === '' || place.length < path.length || path.some((part, index) => place[place.length - path.length + index] !== part)) return undefined;
  const before = place.slice(0, place.length - path.length);
  return `${scheme}${host}${before.length === 0 ? '' : `/v2/${before.join('/')}`}`;
};

export const takeMappings: Take = (value, path, draft) => {
  if (isUnset(value)) return;
  if (!isPlainMap(value)) return warn(draft, path, 'user-data-shape', `${path.join('.')} is no map of "from: to"; it is not used`);
  for (const [from, to] of Object.entries(value)) {
    const target = textOf(to);
    const registry = from.split('/')[0] ?? '';
    const at = [...path, from];
    if (target === undefined || target === '' || registry === '') {
      warn(draft, at, 'user-data-mapping', `${at.join('.')}: is no rule "from: to"; it is not used`);
      continue;
    }
    const endpoint = endpointOf(from, target);
    if (endpoint === undefined) {
      warn(
        draft,
        at,
        'user-data-mapping',
        `${at.join('.')} is not used: a mirror keeps the path of an image, so ${target} would have to end with /${from.split('/').slice(1).join('/')}. Name a mirror under groundplane.registryMirrors`,
      );
      continue;
    }
    if (from.includes('/'))
      warn(draft, at, 'user-data-mapping', `${at.join('.')}: a mirror is for a whole registry; all images of ${registry} are looked for at ${endpoint} first`);
    add(draft, 'registryMirrors', { registry, endpoints: [endpoint] }, at);
  }
};
