import { isPlainMap } from '../pack/source.ts';
import { add, each, nothing, textOf, unless, walk, warn, wordsOf, type Draft, type Path, type Rule, type Take } from './foreign.ts';

/** An account as it is read, key by key. */
interface Found {
  name: unknown;
  groups: string[];
  sshKeys: string[];
  shell: string | undefined;
  password: string | undefined;
  isLocked: boolean;
}

/** `github:somebody` stands for keys that are fetched from there, which a host that may have no network cannot do. */
const isRemoteKey = (key: string): boolean => /^(gh|lp|github|gitlab):\S+$/.test(key);

const keysOf = (value: unknown, path: Path, draft: Draft): string[] => {
  const keys = Array.isArray(value) ? value.flatMap((item) => textOf(item) ?? []) : (textOf(value) ?? '').split('\n');
  const [remote, own] = [keys.filter((key) => isRemoteKey(key.trim())), keys.filter((key) => key.trim() !== '' && !isRemoteKey(key.trim()))];
  for (const key of remote) warn(draft, path, 'user-data-ignored', `${path.join('.')}: keys are not fetched from ${key.trim()}; write the key itself`);
  return own.map((key) => key.trim());
};

const later = 'set it by a profile, or by a file under files';

const fieldsOf = (found: Found): { [key: string]: Rule } => {
  const takePassword: Take = (value) => void (found.password ??= textOf(value));
  const takeKeys: Take = (value, path, draft) => void found.sshKeys.push(...keysOf(value, path, draft));
  return {
    name: (value) => void (found.name = value),
    groups: (value, path, draft) => {
      found.groups = wordsOf(value);
      if (Array.isArray(value) && found.groups.length < value.length)
        warn(
          draft,
          path,
          'user-data-shape',
          `${path.join('.')}: one is no text and is not used. YAML reads yes, no, on and off as true and false; put it in quotes`,
        );
    },
    shell: (value) => void (found.shell = textOf(value)),
    passwd: takePassword,
    hashed_passwd: takePassword,
    plain_text_passwd: takePassword,
    lock_passwd: (value) => void (found.isLocked = value === true),
    ssh_authorized_keys: takeKeys,
    'ssh-authorized-keys': takeKeys,
    sshAuthorizedKeys: takeKeys,
    sudo: unless(false, 'rules of sudo are not made from here; put the account into the group sudo, or write /etc/sudoers.d/NAME under files'),
    doas: 'there is no doas here',
    gecos: nothing,
    homedir: 'homes lie below /home, that of root is /root',
    uid: 'the host chooses numbers of accounts',
    primary_group: 'each account has a group of its own name',
    'primary-group': 'each account has a group of its own name',
    passwordExpiry: later,
    expiredate: later,
    inactive: later,
    system: unless(false, 'accounts are ordinary ones here'),
    no_create_home: unless(false, 'an account always has a home'),
    no_user_group: unless(false, 'each account has a group of its own name'),
    no_log_init: nothing,
    create_groups: nothing,
    ssh_import_id: 'keys are not fetched; write the key itself under ssh_authorized_keys',
    ssh_redirect_user: later,
    selinux_user: later,
    snapuser: 'there are no snaps here',
  };
};

/** One account of Palette, Kairos or cloud-init. */
const takeAccount = (value: Record<string, unknown>, from: Path, draft: Draft): void => {
  const found: Found = { name: undefined, groups: [], sshKeys: [], shell: undefined, password: undefined, isLocked: false };
  walk(value, fieldsOf(found), from, draft);
  const { password } = found;
  const isHash = password !== undefined && /^\$[0-9a-z]+\$/.test(password);
  if (password !== undefined && password !== '' && !isHash)
    warn(
      draft,
      from,
      'user-data-password',
      `${from.join('.')}: a password in plain text is not taken; the account comes in by key only. Give a hash: openssl passwd -6`,
    );
  add(
    draft,
    'users',
    {
      name: found.name,
      groups: found.groups,
      sshKeys: found.sshKeys,
      ...(found.shell === undefined ? {} : { shell: found.shell }),
      ...(isHash && !found.isLocked ? { passwordHash: password } : {}),
    },
    from,
  );
};

const takeListed: Take = (value, from, draft) => {
  if (isPlainMap(value)) takeAccount(value, from, draft);
  else if (value !== 'default') warn(draft, from, 'user-data-shape', `${from.join('.')} is no account; it is not used`);
};

/** A list of accounts, or a map of them by name, as stages have it. */
export const takeUsers: Take = (value, path, draft) => {
  if (!isPlainMap(value)) return each(takeListed)(value, path, draft);
  for (const [name, item] of Object.entries(value)) takeAccount({ ...(isPlainMap(item) ? item : {}), name }, [...path, name], draft);
};

/** Keys by account: `{root: [ssh-ed25519 …]}`. */
export const takeAuthorizedKeys: Take = (value, path, draft) => {
  if (!isPlainMap(value)) return warn(draft, path, 'user-data-shape', `${path.join('.')} is no map of accounts; it is not used`);
  for (const [name, keys] of Object.entries(value)) {
    const from = [...path, name];
    const sshKeys = keysOf(keys, from, draft);
    if (sshKeys.length > 0) add(draft, 'users', { name, groups: [], sshKeys }, from);
  }
};
