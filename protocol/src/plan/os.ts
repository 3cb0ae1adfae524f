import { agentSlotName } from '../agent-package.ts';
import type { BundleLayer, BundleOs } from '../bundle.ts';
import type { Digest } from '../digest.ts';
import type { HostFacts, OwnedOs } from './facts.ts';
import { missingExtension, planExtensions } from './os-extensions.ts';
import { planImage } from './os-image.ts';
import { planPackageReboot, type LayerWork } from './reboot.ts';
import type { ApplyReason, Step } from './steps.ts';

/** Where unit files and drop-ins of ours live; the administrator's own in /usr stay untouched. */
export const unitFolder = '/etc/systemd/system';

interface WantedFile {
  path: string;
  digest: Digest;
  mode: string;
  owner: string;
  group: string;
  unit: string | undefined;
}

/** Everything an OS layer wants on disk: its files, its unit files and their drop-ins. */
export const wantedFiles = (os: BundleOs): WantedFile[] => [
  ...os.files.map((file) => ({ path: file.path, digest: file.digest, mode: file.mode, owner: file.owner, group: file.group, unit: undefined })),
  ...os.units.flatMap((unit) => [
    ...(unit.file === undefined ? [] : [rootFile(`${unitFolder}/${unit.name}`, unit.file.digest, unit.name)]),
    ...unit.dropIns.map((dropIn) => rootFile(`${unitFolder}/${unit.name}.d/${dropIn.name}`, dropIn.digest, unit.name)),
  ]),
];

const rootFile = (path: string, digest: Digest, unit: string): WantedFile => ({ path, digest, mode: '0644', owner: 'root', group: 'root', unit });

const sameMode = (a: string, b: string): boolean => Number.parseInt(a, 8) === Number.parseInt(b, 8);

const fileReason = (facts: HostFacts, file: WantedFile, owned: boolean): ApplyReason | undefined => {
  const seen = facts.os.files.get(file.path);
  if (seen === undefined || seen === 'absent') return owned ? 'missing' : 'new';
  const same = seen.digest === file.digest && sameMode(seen.mode, file.mode) && seen.owner === file.owner && seen.group === file.group;
  if (same && owned) return undefined;
  return owned ? 'changed' : 'new';
};

const isOwned = (facts: HostFacts, layer: string, kind: OwnedOs['kind'], key: string): boolean =>
  facts.ownedOs.some((item) => item.layer === layer && item.kind === kind && item.key === key);

const reasonFor = (owned: boolean, upgrading: boolean): ApplyReason => (owned ? (upgrading ? 'changed' : 'drifted') : 'new');

/** Packages come first: they bring the units, accounts and folders that the rest is about. One transaction, so that the manager solves them together. */
const planPackages = (facts: HostFacts, layer: string, os: BundleOs, upgrading: boolean): Step[] => {
  const wrong = (os.packages ?? []).filter(({ name, version }) => {
    const seen = facts.os.packages.get(name);
    const same = seen !== undefined && seen !== 'absent' && (version === undefined || (seen.version === version && seen.held));
    return !same || !isOwned(facts, layer, 'package', name);
  });
  if (wrong.length === 0) return [];
  const owned = wrong.every(({ name }) => isOwned(facts, layer, 'package', name));
  return [{ step: 'setPackages', layer, packages: wrong, reason: reasonFor(owned, upgrading) }];
};

const planUsers = (facts: HostFacts, layer: string, os: BundleOs, upgrading: boolean): Step[] =>
  (os.users ?? []).flatMap((user): Step[] => {
    const seen = facts.os.users.get(user.name);
    const owned = isOwned(facts, layer, 'user', user.name);
    // Other groups of the account are somebody else's business.
    const same = seen !== undefined && seen !== 'absent' && seen.shell === user.shell && user.groups.every((group) => seen.groups.includes(group));
    return same && owned ? [] : [{ step: 'setUser', layer, user: user.name, groups: user.groups, shell: user.shell, reason: reasonFor(owned, upgrading) }];
  });

/** The agent comes first: what else the layer says may need the new one. An agent that runs without slots is somebody else's to update. */
const planAgent = (facts: HostFacts, layer: string, os: BundleOs): Step[] => {
  const running = facts.os.agent;
  if (os.agent === undefined || running === undefined) return [];
  const { version, packages } = os.agent;
  const wanted = packages[running.arch];
  if (wanted === undefined || agentSlotName(version, wanted.digest) !== running.slot) return [{ step: 'updateAgent', layer, version, digest: wanted?.digest }];
  return running.healthy ? [] : [{ step: 'awaitAgent', layer, version }];
};

/** Changes of the machine, and what the layer waits for: an image comes first and everything else after its reboot, packages come first and their reboot last. */
export const planOsLayer = (facts: HostFacts, layer: BundleLayer, upgrading: boolean): LayerWork => {
  if (layer.os?.image !== undefined) {
    const image = planImage(facts, layer);
    if (image.steps.length > 0 || image.wait !== undefined) return image;
  }
  const missing = missingExtension(facts, layer);
  if (missing !== undefined) return { steps: [], wait: missing };
  const steps = planOsChanges(facts, layer, upgrading);
  const reboot = planPackageReboot(
    facts,
    layer,
    steps.some((step) => step.step === 'setPackages' || step.step === 'restorePackages'),
  );
  return { steps: [...steps, ...reboot.steps], wait: reboot.wait };
};

/**
 * Steps that bring one OS layer to what it says: files first, then one reload, then kernel settings and units.
 * `upgrading` tells a change of ours from a drift that somebody else caused.
 */
const planOsChanges = (facts: HostFacts, layer: BundleLayer, upgrading: boolean): Step[] => {
  const os = layer.os;
  if (os === undefined) return [];
  const steps: Step[] = [
    ...planAgent(facts, layer.name, os),
    ...planPackages(facts, layer.name, os, upgrading),
    ...planUsers(facts, layer.name, os, upgrading),
  ];
  const touchedUnits = new Set<string>();
  for (const file of wantedFiles(os)) {
    const reason = fileReason(facts, file, isOwned(facts, layer.name, 'file', file.path));
    if (reason === undefined) continue;
    if (file.unit !== undefined) touchedUnits.add(file.unit);
    const { unit: _unit, ...rest } = file;
    steps.push({ step: 'writeFile', layer: layer.name, ...rest, reason: reason === 'changed' && !upgrading ? 'drifted' : reason });
  }
  steps.push(...planGoneOs(facts, layer));
  // Extensions may bring the units below, and their kernel modules.
  steps.push(...planExtensions(facts, layer));
  if (steps.some((step) => (step.step === 'writeFile' || step.step === 'restoreFile') && step.path.startsWith(`${unitFolder}/`))) {
    steps.push({ step: 'reloadUnits', layer: layer.name });
  }
  for (const module of os.modules ?? []) {
    const loaded = facts.os.modules.get(module);
    if (!isOwned(facts, layer.name, 'module', module) || loaded === 'absent' || loaded === undefined)
      steps.push({ step: 'loadModule', layer: layer.name, module });
  }
  for (const [key, value] of Object.entries(os.sysctls)) {
    const owned = isOwned(facts, layer.name, 'sysctl', key);
    const seen = facts.os.sysctls.get(key);
    if (!owned || seen !== value) steps.push({ step: 'setSysctl', layer: layer.name, key, value, reason: owned ? (upgrading ? 'changed' : 'drifted') : 'new' });
  }
  for (const unit of os.units) {
    const seen = facts.os.units.get(unit.name);
    const restart = unit.active && touchedUnits.has(unit.name);
    const same =
      seen !== undefined && seen !== 'absent' && seen.enabled === unit.enabled && seen.active === unit.active && isOwned(facts, layer.name, 'unit', unit.name);
    if (!same || restart) steps.push({ step: 'setUnit', layer: layer.name, unit: unit.name, enabled: unit.enabled, active: unit.active, restart });
  }
  return steps;
};

const restoreStep = (item: OwnedOs): Step => {
  switch (item.kind) {
    case 'file':
      return { step: 'restoreFile', layer: item.layer, path: item.key };
    case 'sysctl':
      return { step: 'restoreSysctl', layer: item.layer, key: item.key };
    case 'unit':
      return { step: 'restoreUnit', layer: item.layer, unit: item.key };
    case 'module':
      return { step: 'restoreModule', layer: item.layer, module: item.key };
    case 'user':
      return { step: 'restoreUser', layer: item.layer, user: item.key };
    case 'extension':
      return { step: 'restoreExtensions', layer: item.layer, names: [item.key] };
    case 'package':
      return { step: 'restorePackages', layer: item.layer, names: [item.key] };
    default:
      return item.kind satisfies never;
  }
};

/** Units stop before their files go, files go before the accounts that own them, and packages last. */
const restoreOrder: Record<OwnedOs['kind'], number> = { unit: 0, sysctl: 1, module: 2, extension: 3, file: 4, user: 5, package: 6 };

/** Packages of a layer go back together, in one transaction. */
const restoreSteps = (items: readonly OwnedOs[]): Step[] => {
  const sorted = items.toSorted((a, b) => restoreOrder[a.kind] - restoreOrder[b.kind]);
  const packages = sorted.filter((item) => item.kind === 'package');
  const [first] = packages;
  return [
    ...sorted.filter((item) => item.kind !== 'package').map(restoreStep),
    ...(first === undefined ? [] : [{ step: 'restorePackages' as const, layer: first.layer, names: packages.map((item) => item.key) }]),
  ];
};

/** What the layer owned before and no longer names. */
const planGoneOs = (facts: HostFacts, layer: BundleLayer): Step[] => {
  const os = layer.os;
  if (os === undefined) return [];
  const wanted = new Set([
    ...wantedFiles(os).map((file) => `file ${file.path}`),
    ...Object.keys(os.sysctls).map((key) => `sysctl ${key}`),
    ...os.units.map((unit) => `unit ${unit.name}`),
    ...(os.packages ?? []).map((item) => `package ${item.name}`),
    ...(os.modules ?? []).map((module) => `module ${module}`),
    ...(os.users ?? []).map((user) => `user ${user.name}`),
    ...(os.extensions ?? []).map((extension) => `extension ${extension.name}`),
  ]);
  return restoreSteps(facts.ownedOs.filter((item) => item.layer === layer.name && !wanted.has(`${item.kind} ${item.key}`)));
};

/** Puts everything back that a removed OS layer changed. */
export const planRemoveOs = (facts: HostFacts, layerName: string): Step[] => {
  const steps = restoreSteps(facts.ownedOs.filter((item) => item.layer === layerName));
  const reload = steps.some((step) => step.step === 'restoreFile' && step.path.startsWith(`${unitFolder}/`));
  return reload ? [...steps, { step: 'reloadUnits', layer: layerName }] : steps;
};
