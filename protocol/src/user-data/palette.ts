import { isPlainMap, own } from '../pack/source.ts';
import { add, each, put, textOf, walk, warn, wordsOf, type Draft, type Path, type Rule, type Take } from './foreign.ts';

/**
 * User data of Palette's edge installer and of Kairos and cloud-init beneath it (docs: clusters/edge/edge-configuration/installer-reference): what has a
 * meaning here is taken, and everything else is named.
 */
const profile = 'it belongs into a profile, where it is versioned and rolled out';
const ticket = 'the ticket says where the hub is and whom to trust';

const prefixOfMask = (mask: string): number | undefined => {
  const bits = mask
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) && bits.length === 32 ? bits.lastIndexOf('1') + 1 : undefined;
};

/** `ipAddress` with a prefix, or with a mask beside it. */
const takeInterfaces: Take = (value, path, draft) => {
  if (!isPlainMap(value)) return;
  for (const [name, item] of Object.entries(value)) {
    const from = [...path, name];
    const type = textOf(own(item, 'type')) ?? 'dhcp';
    const ip = textOf(own(item, 'ipAddress'));
    const prefix = prefixOfMask(textOf(own(item, 'mask')) ?? '');
    const dns = wordsOf(own(item, 'nameserver'));
    const gateway = textOf(own(item, 'gateway'));
    const addresses = ip === undefined ? [] : [ip.includes('/') || prefix === undefined ? ip : `${ip}/${prefix}`];
    draft.interfaces.set(name, {
      from,
      value: type === 'static' ? { addresses, dns, ...(gateway === undefined ? {} : { gateway }) } : { dhcp: true, dns },
    });
  }
};

const takeUser: Take = (value, from, draft) => {
  if (!isPlainMap(value)) return value === 'default' ? undefined : warn(draft, from, 'user-data-shape', `${from.join('.')} is no account; it is not used`);
  const password = textOf(own(value, 'passwd')) ?? textOf(own(value, 'hashed_passwd')) ?? textOf(own(value, 'plain_text_passwd'));
  const isHash = password !== undefined && /^\$[0-9a-z]+\$/.test(password);
  if (password !== undefined && !isHash)
    warn(
      draft,
      from,
      'user-data-password',
      `${from.join('.')}: a password in plain text is not taken; the account comes in by key only. Give a hash: openssl passwd -6`,
    );
  const shell = textOf(own(value, 'shell'));
  add(
    draft,
    'users',
    {
      name: own(value, 'name'),
      groups: wordsOf(own(value, 'groups')),
      sshKeys: wordsOfLines(own(value, 'ssh_authorized_keys') ?? own(value, 'sshAuthorizedKeys')),
      ...(shell === undefined ? {} : { shell }),
      ...(isHash && own(value, 'lock_passwd') !== true ? { passwordHash: password } : {}),
    },
    from,
  );
};

const wordsOfLines = (value: unknown): string[] =>
  Array.isArray(value) ? value.flatMap((item) => textOf(item) ?? []) : (textOf(value) ?? '').split('\n').filter((line) => line.trim() !== '');

/** Numbers of accounts differ between systems; in such files they are those of root. */
const nameOrRoot = (text: string): string => (/^\d+$/.test(text) ? 'root' : text);

const takeFile: Take = (value, from, draft) => {
  const encoding = textOf(own(value, 'encoding')) ?? '';
  const path = textOf(own(value, 'path'));
  if (path === undefined) return warn(draft, from, 'user-data-shape', `${from.join('.')} has no path; it is not used`);
  if (encoding !== '' && !/^(text|text\/plain|plain)$/i.test(encoding))
    return warn(draft, from, 'user-data-ignored', `${from.join('.')}: ${path} is written as ${encoding}; only plain text is taken`);
  if (!/^\/(etc|var)\//.test(path))
    return warn(draft, from, 'user-data-ignored', `${from.join('.')}: ${path} lies outside of /etc and /var, which is part of the image; it is not written`);
  const [owner = 'root', group = owner] = (textOf(own(value, 'owner')) ?? 'root').split(':');
  const mode = own(value, 'permissions') ?? own(value, 'mode');
  add(
    draft,
    'files',
    {
      path,
      content: textOf(own(value, 'content')) ?? '',
      // YAML reads 0644 as the number 420, and people mean what they wrote.
      ...(mode === undefined ? {} : { mode: typeof mode === 'number' ? mode.toString(8).padStart(4, '0') : mode }),
      owner: nameOrRoot(owner),
      group: nameOrRoot(textOf(own(value, 'group')) ?? group),
    },
    from,
  );
};

const takeNtp: Take = (value, from, draft) => wordsOf(value).forEach((server) => add(draft, 'ntp', server, from));

/** Rules are `from: to` by prefix; what is behind the registry's name in `to` stays part of the endpoint. */
const takeMappings: Take = (value, path, draft) => {
  if (!isPlainMap(value)) return;
  for (const [from, to] of Object.entries(value)) {
    const target = textOf(to);
    const registry = from.split('/')[0] ?? '';
    const at = [...path, from];
    if (target === undefined || registry === '') continue;
    if (from.includes('/'))
      warn(draft, at, 'user-data-mapping', `${at.join('.')}: only a whole registry can be mirrored; the rule is taken for all of ${registry}`);
    add(draft, 'registryMirrors', { registry, endpoints: [/^https?:\/\//.test(target) ? target : `https://${target}`] }, at);
  }
};

const takeInstallEnd =
  (end: 'reboot' | 'poweroff'): Take =>
  (value, from, draft) => {
    if (value === true) draft.values.set('install.end', { value: end, from });
  };

const takeSysctl: Take = (value, path, draft) => {
  if (isPlainMap(value))
    for (const [key, item] of Object.entries(value))
      draft.sysctls.set(key, { value: typeof item === 'string' || typeof item === 'number' ? item : String(item), from: [...path, key] });
};

const takeHostname: Take = (value, path, draft) => {
  const text = textOf(value) ?? '';
  if (/\{\{/.test(text)) warn(draft, path, 'user-data-template', `${path.join('.')}: templates are not filled in here; the host name stays as it is`);
  else put('hostname')(value, path, draft);
};

const stepRules: { [key: string]: Rule } = {
  name: () => undefined,
  if: 'conditions of stages are not evaluated; the step is taken without it',
  files: each(takeFile),
  hostname: takeHostname,
  sysctl: takeSysctl,
  modules: each((value, from, draft) => add(draft, 'modules', value, from)),
  users: (value, path, draft) => {
    if (isPlainMap(value)) for (const [name, item] of Object.entries(value)) takeUser({ ...(isPlainMap(item) ? item : {}), name }, [...path, name], draft);
  },
  authorized_keys: `accounts with their keys stand under users`,
  timesyncd: (value, path, draft) => takeNtp(own(value, 'NTP'), [...path, 'NTP'], draft),
  commands: `commands are not run on hosts of this platform; ${profile}`,
  environment: profile,
  systemctl: profile,
  packages: 'packages are part of the image; build one with them',
  layout: 'partitions are those of the disk image',
};

/** Stages at which a running host is set up; the others belong to the building and installing of images there. */
const liveStages = /^(rootfs|initramfs|boot|fs|network|reconcile)(\.(before|after))?$/;

const takeStages: Take = (value, path, draft) => {
  if (!isPlainMap(value)) return;
  for (const [stage, steps] of Object.entries(value)) {
    const at = [...path, stage];
    if (!liveStages.test(stage)) warn(draft, at, 'user-data-ignored', `${at.join('.')} is not used: images are built and installed in other ways here`);
    else each((step, from) => walk(step, stepRules, from, draft))(steps, at, draft);
  }
};

const siteRules: { [key: string]: Rule } = {
  paletteEndpoint: ticket,
  edgeHostToken: `a token of Palette lets nobody in here; ${ticket}`,
  registrationURL: ticket,
  insecureSkipVerify: `never here; ${ticket}`,
  disableAutoRegister: 'whether a host is let in by itself is a property of its ticket',
  name: put('name'),
  hostName: takeHostname,
  prefix: 'names are not made from prefixes',
  projectName: 'the ticket says to which project the host belongs',
  projectUid: 'the ticket says to which project the host belongs',
  clusterId: 'the hub says to which cluster the host belongs',
  clusterName: 'the hub says to which cluster the host belongs',
  caCerts: each((value, from, draft) => add(draft, 'caCertificates', value, from)),
  ntpServers: takeNtp,
  deviceUIDPaths: 'the identity of a host is its key, and the serial number of its board is told beside it',
  tags: 'labels of hosts are given by the ticket or at the hub',
  tagsFromFile: 'labels of hosts are given by the ticket or at the hub',
  tagsFromScript: 'labels of hosts are given by the ticket or at the hub',
  remoteShell: 'there is no remote shell',
  users: each(takeUser),
  network: {
    httpProxy: put('network.proxy.http'),
    httpsProxy: put('network.proxy.https'),
    noProxy: (value, path, draft) => put('network.proxy.except')(wordsOf(value), path, draft),
    nameserver: (value, path, draft) => put('network.dns')(wordsOf(value), path, draft),
    interfaces: takeInterfaces,
  },
};

const stylusRules: { [key: string]: Rule } = {
  site: siteRules,
  externalRegistries: { registries: `credentials of registries belong to the hub: gp registry add`, registryMappingRules: takeMappings },
  registryCredentials: `credentials of registries belong to the hub: gp registry add`,
  debug: 'the agent writes its journal always',
  trace: 'the agent writes its journal always',
  path: 'the agent has its place in the image',
  managementMode: 'a host works with and without its hub; there is no mode for that',
  enableMultiNode: 'the cluster document says which hosts belong together',
  featureGate: 'there are no feature gates',
  disablePasswordUpdate: 'passwords are changed by nobody here',
  disableTui: 'there is no text interface on the console',
  includeTui: 'there is no text interface on the console',
  localUI: 'the local page always listens on this host only',
  vip: profile,
  imageRedirectWebhook: 'images are redirected by mirrors of the container runtime, not by a webhook',
};

const installRules: { [key: string]: Rule } = {
  device: put('install.device'),
  reboot: takeInstallEnd('reboot'),
  poweroff: takeInstallEnd('poweroff'),
  auto: () => undefined,
  bind_mounts: 'what is written lies below /etc and /var, which are kept',
  'extra-dirs-rootfs': 'build an image with these folders: installer build --overlay',
  grub_options: 'the kernel command line is part of the image: installer build --command-line',
  partitions: 'partitions are those of the disk image',
  'extra-partitions': 'partitions are those of the disk image',
};

/** Keys beside `groundplane`, at the top of the document. */
export const foreignRules: { [key: string]: Rule } = {
  stylus: stylusRules,
  install: installRules,
  stages: takeStages,
  hostname: takeHostname,
  fqdn: takeHostname,
  timezone: put('timezone'),
  users: each(takeUser),
  write_files: each(takeFile),
  ntp: (value, path, draft) => takeNtp(own(value, 'servers'), [...path, 'servers'], draft),
  ca_certs: (value, path, draft) => each((item, from) => add(draft, 'caCertificates', item, from))(own(value, 'trusted'), [...path, 'trusted'], draft),
  runcmd: `commands are not run on hosts of this platform; ${profile}`,
  bootcmd: `commands are not run on hosts of this platform; ${profile}`,
  packages: 'packages are part of the image; build one with them',
  ssh_authorized_keys: 'give keys to an account: users: [{name, ssh_authorized_keys}]',
  name: () => undefined,
};

/** Everything of a document that is not ours, as far as it means something here. */
export const readForeign = (document: Record<string, unknown>, draft: Draft): void => {
  const { groundplane: _ours, ...rest } = document;
  walk(rest, foreignRules, [] as Path, draft);
};
