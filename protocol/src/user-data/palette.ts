import { nameSchema } from '../ids.ts';
import { isPlainMap } from '../pack/source.ts';
import { takeAuthorizedKeys, takeUsers } from './accounts.ts';
import { takeFile, textOfBase64 } from './foreign-files.ts';
import { takeInterfaces, takeMappings } from './foreign-network.ts';
import { add, each, ignore, isUnset, nothing, put, textOf, unless, walk, warn, wordsOf, type Draft, type Path, type Rule, type Take } from './foreign.ts';

/**
 * User data of Palette's edge installer and of Kairos and cloud-init beneath it (docs: clusters/edge/edge-configuration/installer-reference): what has a
 * meaning here is taken, and everything else is named.
 */
const profile = 'it belongs into a profile, where it is versioned and rolled out';
const ticket = 'the ticket says where the hub is and whom to trust';

/** The body of a certificate without its frame, or all of it as base64 of a PEM: both are called "base64-encoded". */
const takeCertificate: Take = (value, from, draft) => {
  const text = textOf(value)?.trim() ?? '';
  if (text === '') return;
  const bare = text.replaceAll(/\s/g, '');
  const decoded = /^[A-Za-z0-9+/]{40,}={0,2}$/.test(bare) ? textOfBase64(bare) : undefined;
  if (decoded?.includes('-----BEGIN CERTIFICATE-----') === true) add(draft, 'caCertificates', decoded, from);
  // DER of a certificate begins with a sequence of two bytes of length: MII in base64.
  else if (/^MII[A-Za-z0-9+/]{40,}={0,2}$/.test(bare))
    add(draft, 'caCertificates', `-----BEGIN CERTIFICATE-----\n${bare.replaceAll(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`, from);
  else add(draft, 'caCertificates', value, from);
};

const takeNtp: Take = (value, from, draft) => wordsOf(value).forEach((server) => add(draft, 'ntp', server, from));

const takeInstallEnd =
  (end: 'reboot' | 'poweroff'): Take =>
  (value, from, draft) => {
    if (value === true) draft.values.set('install.end', { value: end, from });
  };

const takeSysctl: Take = (value, path, draft) => {
  if (isUnset(value)) return;
  if (!isPlainMap(value)) return warn(draft, path, 'user-data-shape', `${path.join('.')} is no map of settings; it is not used`);
  for (const [key, item] of Object.entries(value)) {
    const from = [...path, key];
    // `yes` is read as true, which no setting of the kernel takes.
    if (typeof item === 'boolean') draft.sysctls.set(key, { value: item ? 1 : 0, from });
    else if (typeof item === 'string' || typeof item === 'number') draft.sysctls.set(key, { value: item, from });
    else warn(draft, from, 'user-data-shape', `${from.join('.')} is neither a text nor a number; it is not used`);
  }
};

const takeHostname: Take = (value, path, draft) => {
  const text = textOf(value) ?? '';
  if (/\{\{/.test(text)) warn(draft, path, 'user-data-template', `${path.join('.')}: templates are not filled in here; the host name stays as it is`);
  else put('hostname')(value, path, draft);
};

/** Palette names a host after this key when it has no host name of its own. */
const takeSiteName: Take = (value, path, draft) => {
  const text = textOf(value) ?? '';
  if (text === '$random') return ignore(draft, path, 'the host is known in the hub by its host name, or by groundplane.name');
  if (/\{\{/.test(text)) return warn(draft, path, 'user-data-template', `${path.join('.')}: templates are not filled in here; write the name itself`);
  put('name')(value, path, draft);
  if (!draft.values.has('hostname') && nameSchema.safeParse(value).success) put('hostname')(value, path, draft);
};

/** Servers and pools are the same to systemd. */
const ntpRules: { [key: string]: Rule } = {
  servers: takeNtp,
  pools: takeNtp,
  enabled: unless(true, 'the clock of a host is always kept'),
  ntp_client: 'it is systemd-timesyncd',
  config: 'servers and pools are all that is set',
};

const certificateRules: { [key: string]: Rule } = {
  trusted: each(takeCertificate),
  remove_defaults: unless(false, 'authorities of the image stay; build an image without them'),
  'remove-defaults': unless(false, 'authorities of the image stay; build an image without them'),
};

const whereNetwork = 'settings of the network stand under groundplane.network';
const condition = 'conditions of stages are not evaluated; the step is taken without it';

const stepRules: { [key: string]: Rule } = {
  name: nothing,
  if: condition,
  if_arch: condition,
  if_os: condition,
  if_os_version: condition,
  only_os: condition,
  only_os_version: condition,
  only_arch: condition,
  only_service_manager: condition,
  node: condition,
  files: each(takeFile),
  directories: 'folders are made with the files in them',
  dns: {
    nameservers: (value, path, draft) => put('network.dns')(wordsOf(value), path, draft),
    search: whereNetwork,
    options: whereNetwork,
    path: 'resolv.conf is written by systemd-resolved',
  },
  hostname: takeHostname,
  sysctl: takeSysctl,
  modules: each((value, from, draft) => add(draft, 'modules', value, from)),
  users: takeUsers,
  authorized_keys: takeAuthorizedKeys,
  timesyncd: { NTP: takeNtp, FallbackNTP: takeNtp },
  commands: `commands are not run on hosts of this platform; ${profile}`,
  environment: profile,
  environment_file: profile,
  systemctl: profile,
  systemd_firstboot: 'give hostname, timezone and users instead',
  downloads: `nothing is fetched at the first start; ${profile}`,
  git: `nothing is fetched at the first start; ${profile}`,
  unpack_images: profile,
  ensure_entities: 'accounts stand under users',
  delete_entities: 'accounts of the image stay',
  datasource: 'user data come from the boot partition alone',
  packages: 'packages are part of the image; build one with them',
  layout: 'partitions are those of the disk image',
};

/** Stages at which a running host is set up; the others belong to the building and installing of images there. */
const liveStages = /^(rootfs|initramfs|boot|fs|network|reconcile)(\.(before|after))?$/;

const takeStages: Take = (value, path, draft) => {
  if (isUnset(value)) return;
  if (!isPlainMap(value)) return warn(draft, path, 'user-data-shape', `${path.join('.')} is no map of stages; it is not used`);
  for (const [stage, steps] of Object.entries(value)) {
    const at = [...path, stage];
    if (!liveStages.test(stage)) warn(draft, at, 'user-data-ignored', `${at.join('.')} is not used: images are built and installed in other ways here`);
    else each((step, from) => walk(step, stepRules, from, draft))(steps, at, draft);
  }
};

const networkRules: { [key: string]: Rule } = {
  httpProxy: put('network.proxy.http'),
  httpsProxy: put('network.proxy.https'),
  noProxy: (value, path, draft) => put('network.proxy.except')(wordsOf(value), path, draft),
  nameserver: (value, path, draft) => put('network.dns')(wordsOf(value), path, draft),
  interfaces: takeInterfaces,
};

const siteRules: { [key: string]: Rule } = {
  paletteEndpoint: ticket,
  edgeHostToken: `a token of Palette lets nobody in here; ${ticket}`,
  registrationURL: ticket,
  insecureSkipVerify: `never here; ${ticket}`,
  disableAutoRegister: 'whether a host is let in by itself is a property of its ticket',
  name: takeSiteName,
  hostName: takeHostname,
  prefix: 'names are not made from prefixes',
  projectName: 'the ticket says to which project the host belongs',
  projectUid: 'the ticket says to which project the host belongs',
  clusterId: 'the hub says to which cluster the host belongs',
  clusterName: 'the hub says to which cluster the host belongs',
  caCerts: each(takeCertificate),
  ntpServers: takeNtp,
  deviceUIDPaths: 'the identity of a host is its key, and the serial number of its board is told beside it',
  tags: 'labels of hosts are given by the ticket or at the hub',
  tagsFromFile: 'labels of hosts are given by the ticket or at the hub',
  tagsFromScript: 'labels of hosts are given by the ticket or at the hub',
  remoteShell: 'there is no remote shell',
  users: takeUsers,
  network: networkRules,
  siteNetwork: networkRules,
  twoNode: 'how many hosts a cluster has is said by its document',
  debug: 'the agent writes its journal always',
};

const stylusRules: { [key: string]: Rule } = {
  site: siteRules,
  externalRegistries: {
    registries: 'credentials of registries belong to the hub: gp registry add. Certificates of registries stand under groundplane.caCertificates',
    registryMappingRules: takeMappings,
  },
  registryCredentials: `credentials of registries belong to the hub: gp registry add`,
  debug: 'the agent writes its journal always',
  trace: 'the agent writes its journal always',
  path: 'the agent has its place in the image',
  managementMode: 'a host works with and without its hub; there is no mode for that',
  installationMode: 'a host works with and without its hub; there is no mode for that',
  twoNode: 'how many hosts a cluster has is said by its document',
  imageOverride: 'the image is the one that was flashed',
  installHarbor: profile,
  harborPVC: profile,
  skipKubeVip: profile,
  enableMultiNode: 'the cluster document says which hosts belong together',
  featureGate: 'there are no feature gates',
  disablePasswordUpdate: 'passwords are changed by nobody here',
  disableTui: 'there is no text interface on the console',
  includeTui: 'there is no text interface on the console',
  localUI: 'the local page always listens on this host only',
  emcServer: 'the local page always listens on this host only',
  vip: profile,
  imageRedirectWebhook: 'images are redirected by mirrors of the container runtime, not by a webhook',
};

const installRules: { [key: string]: Rule } = {
  device: put('install.device'),
  reboot: takeInstallEnd('reboot'),
  poweroff: takeInstallEnd('poweroff'),
  auto: nothing,
  bind_mounts: 'what is written lies below /etc and /var, which are kept',
  'extra-dirs-rootfs': 'build an image with these folders: installer build --overlay',
  grub_options: 'the kernel command line is part of the image: installer build --command-line',
  partitions: 'partitions are those of the disk image',
  'extra-partitions': 'partitions are those of the disk image',
  encrypted_partitions: 'partitions are those of the disk image',
  'no-format': 'the disk is always made anew',
  bundles: profile,
  image: 'what is installed is what it starts from',
  env: 'the installer takes no environment',
};

const cluster = 'what a cluster is stands in its profile';

/** Keys beside `groundplane`, at the top of the document. */
export const foreignRules: { [key: string]: Rule } = {
  stylus: stylusRules,
  install: installRules,
  stages: takeStages,
  hostname: takeHostname,
  fqdn: takeHostname,
  timezone: put('timezone'),
  users: takeUsers,
  write_files: each(takeFile),
  ntp: ntpRules,
  ca_certs: certificateRules,
  'ca-certs': certificateRules,
  runcmd: `commands are not run on hosts of this platform; ${profile}`,
  bootcmd: `commands are not run on hosts of this platform; ${profile}`,
  packages: 'packages are part of the image; build one with them',
  package_update: 'packages are part of the image; build one with them',
  package_upgrade: 'packages are part of the image; build one with them',
  ssh_authorized_keys: 'give keys to an account: users: [{name, ssh_authorized_keys}]',
  network: whereNetwork,
  resolv_conf: whereNetwork,
  manage_resolv_conf: whereNetwork,
  mounts: 'partitions are those of the disk image',
  disk_setup: 'partitions are those of the disk image',
  fs_setup: 'partitions are those of the disk image',
  cluster,
  k3s: cluster,
  'k3s-agent': cluster,
  kairos: cluster,
  p2p: cluster,
  name: nothing,
};

/** Everything of a document that is not ours, as far as it means something here. */
export const readForeign = (document: Record<string, unknown>, draft: Draft): void => {
  const { groundplane: _ours, ...rest } = document;
  walk(rest, foreignRules, [] as Path, draft);
};
