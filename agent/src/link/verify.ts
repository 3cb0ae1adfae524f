import type { Version } from '@groundplane/protocol/bundle';
import { digestOf } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { desiredLeaf, isInTree } from '@groundplane/protocol/merkle';
import { applyBundlePatch, type DesiredMessage } from '@groundplane/protocol/messages';
import { isSignedBy, type RootStatement, type Signed, type Verify } from '@groundplane/protocol/trust';
import type { DesiredRecord } from '../store/state.ts';

export interface VerifyInput {
  message: DesiredMessage;
  root: RootStatement;
  host: string;
  tenant: string;
  epoch: string;
  /** The bundle we hold, as base of a patch. */
  base: DesiredRecord | undefined;
  verify: Verify;
}

/** Whether a root statement is the pinned one, or a later one signed by the one we believe. */
export const isTrustedRoot = (root: Signed<RootStatement>, pinned: { digest: string; known: RootStatement | undefined }, verify: Verify): boolean => {
  if (pinned.known === undefined) return digestOf(root.signed) === pinned.digest && isSignedBy(root, root.signed.roles.root, verify);
  return root.signed.version > pinned.known.version && isSignedBy(root, pinned.known.roles.root, verify) && isSignedBy(root, root.signed.roles.root, verify);
};

const wrong = (what: string): Result<never> => fail('fatal', 'desired-untrusted', 'desired state', what);

const checkReleases = (input: VerifyInput, record: DesiredRecord): Result<void> => {
  for (const profile of record.bundle?.profiles ?? []) {
    // Checked when the base came: a slot never holds a bundle whose releases were not.
    if (
      input.base?.bundle?.profiles.some((known) => known.name === profile.name && known.version === profile.version && known.digest === profile.digest) === true
    )
      continue;
    const release = input.message.releases?.find(
      (item) => item.signed.digest === profile.digest && item.signed.profile === profile.name && item.signed.version === profile.version,
    );
    if (release === undefined || release.signed.tenant !== input.tenant)
      return wrong(`profile ${profile.name} ${profile.version} comes without its release statement`);
    if (!isSignedBy(release, input.root.roles.release, input.verify))
      return wrong(`the release of profile ${profile.name} ${profile.version} is not signed by enough release keys`);
  }
  return ok(undefined);
};

/**
 * A host acts only when director and release signatures agree. Checks, in order: it is for this host and epoch, it is in the signed tree, the tree is signed by
 * the director, the bundle has the digest it names, every profile of it was released. `refetch` (retry) asks the hub for the whole bundle.
 */
export const verifyDesired = (input: VerifyInput): Result<DesiredRecord> => {
  const { message, root } = input;
  const { desired, director } = message;
  if (desired.host !== input.host || desired.tenant !== input.tenant) return wrong('it is for another host');
  if (desired.epoch !== input.epoch || director.signed.epoch !== desired.epoch || director.signed.hub !== root.hub)
    return wrong('it is of another epoch or hub');
  const version: Version = { epoch: desired.epoch, generation: desired.generation, digest: digestOf(desired) };
  if (
    director.signed.size !== message.proof.size ||
    !isInTree(desiredLeaf(desired.host, desired.generation, version.digest), message.proof, director.signed.root)
  ) {
    return wrong('it is not in the tree that the director signed');
  }
  if (!isSignedBy(director, root.roles.director, input.verify)) return wrong('it is not signed by the director');
  if (desired.bundle === undefined) return ok({ version, desired, bundle: undefined });
  const base = input.base;
  const patched =
    message.patch !== undefined && base?.bundle !== undefined && base.desired.bundle === message.patch.base
      ? applyBundlePatch(base.bundle, message.patch)
      : undefined;
  const same = base?.desired.bundle === desired.bundle ? base.bundle : undefined;
  const bundle = message.bundle ?? patched ?? same;
  if (bundle === undefined || (bundle !== same && digestOf(bundle) !== desired.bundle))
    return fail('retry', 'refetch', 'desired state', 'the bundle did not fit; asking for the whole one');
  const record: DesiredRecord = { version, desired, bundle };
  const released = checkReleases(input, record);
  return released.ok ? ok(record) : released;
};
