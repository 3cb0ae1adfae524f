import type { UserData } from './schema.ts';

const list = (items: readonly string[]): string => items.join(', ');

const accountText = ({ name, groups, sshKeys, passwordHash }: UserData['users'][number]): string => {
  const ways = [
    ...(sshKeys.length === 0 ? [] : [`${sshKeys.length} ${sshKeys.length === 1 ? 'key' : 'keys'}`]),
    ...(passwordHash === undefined ? [] : ['a password']),
  ];
  return `${name}${groups.length === 0 ? '' : ` in ${list(groups)}`} (${ways.length === 0 ? 'nobody can log in: neither key nor password' : ways.join(' and ')})`;
};

const interfaceText = ([name, item]: [string, NonNullable<UserData['network']>['interfaces'][string]]): string =>
  `${name} ${[...(item.dhcp === true ? ['by DHCP'] : []), ...item.addresses].join(' and ')}${item.gateway === undefined ? '' : ` through ${item.gateway}`}`;

/** Passwords in an address of a proxy are for nobody's screen. */
const withoutPassword = (url: string): string => url.replace(/^(https?:\/\/)[^/@]*@/, '$1…@');

/** What a device takes from user data, a line for each kind. Secrets are not repeated. */
export const summaryOf = (config: UserData): string[] => {
  const { network, install } = config;
  const proxies = [network?.proxy?.http, network?.proxy?.https].filter((url) => url !== undefined).map(withoutPassword);
  const rows: [string, readonly string[]][] = [
    ['ticket', config.ticket === undefined ? [] : ['in the user data']],
    ['name in the hub', config.name === undefined ? [] : [config.name]],
    ['carrier', config.carrier === undefined ? [] : [config.carrier]],
    ['host name', config.hostname === undefined ? [] : [config.hostname]],
    ['time zone', config.timezone === undefined ? [] : [config.timezone]],
    ['time servers', config.ntp ?? []],
    ['accounts', config.users.map(accountText)],
    ['interfaces', Object.entries(network?.interfaces ?? {}).map(interfaceText)],
    ['DNS servers', network?.dns ?? []],
    ['proxy', [...new Set(proxies)]],
    ['certificates', config.caCertificates.length === 0 ? [] : [String(config.caCertificates.length)]],
    ['mirrors', config.registryMirrors.map(({ registry, endpoints }) => `${registry} at ${endpoints.join(' or ')}`)],
    ['files', config.files.map(({ path }) => path)],
    ['kernel modules', config.modules],
    ['kernel settings', Object.entries(config.sysctls).map(([key, value]) => `${key}=${value}`)],
    [
      'installs to',
      install === undefined ? [] : [`${install.device === 'auto' ? 'the only other disk' : install.device}, which loses everything; then ${install.end}`],
    ],
  ];
  return rows.filter(([, items]) => items.length > 0).map(([name, items]) => `${name}: ${list(items)}`);
};
