import { isRecord } from '@groundplane/protocol/record';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { AccountView } from '@groundplane/protocol/api/cloud-views';
import { accountKindNames, type AccountKind } from '@groundplane/protocol/environment/account';
import { useState, type ReactElement, type SyntheticEvent } from 'react';
import { parse } from 'yaml';
import { ask } from '../api/client.ts';
import { accountsQuery, cloudKeys } from '../api/queries-cloud.ts';
import { isName, nameRule } from '../model/names.ts';
import type { Tone } from '../model/tone.ts';
import { Button } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Check, Choice } from '../parts/field.tsx';
import { Icon } from '../parts/icon.tsx';
import { notify } from '../parts/notice.tsx';
import { Answer, Card, Empty, Page } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Age, Badge, Facts, Name } from '../parts/text.tsx';
import { TypedConfirm } from '../parts/typed-confirm.tsx';
import { useScope } from '../scope.ts';

/** What is to be filled in, by kind; every key is explained in the documentation of environments. */
const starters: Readonly<Record<AccountKind, string>> = {
  aws: 'settings:\n  region: eu-central-1\nsecret:\n  type: keys\n  accessKeyId: ""\n  secretAccessKey: ""\n',
  azure: 'settings:\n  tenantId: ""\n  clientId: ""\n  subscription: ""\nsecret:\n  type: client-secret\n  clientSecret: ""\n',
  google: 'settings:\n  project: ""\nsecret:\n  type: key\n  json: |\n    {}\n',
  vsphere: 'settings:\n  url: https://vcenter.example\n  insecure: false\nsecret:\n  type: password\n  username: ""\n  password: ""\n',
  nutanix: 'settings:\n  url: https://prism.example:9440\nsecret:\n  type: password\n  username: ""\n  password: ""\n',
  openstack: 'settings:\n  authUrl: https://keystone.example/v3\nsecret:\n  type: application-credential\n  id: ""\n  secret: ""\n',
  maas: 'settings:\n  url: https://maas.example/MAAS\nsecret:\n  type: key\n  key: ""\n',
  kubeconfig: 'secret:\n  type: kubeconfig\n  kubeconfig: |\n    # kubectl config view --raw --flatten --minify\n',
};

interface Body {
  kind: AccountKind;
  settings: Record<string, unknown>;
  secret?: Record<string, unknown>;
}

/** The hub checks what is in it; here only that it is two maps. */
const readText = (kind: AccountKind, text: string): { body: Body } | { why: string } => {
  let read: unknown;
  try {
    read = parse(text, { maxAliasCount: 100 });
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
  const { settings = {}, secret } = isRecord(read) ? read : {};
  if (!isRecord(settings)) return { why: 'settings are a map.' };
  return isRecord(secret) ? { body: { kind, settings, secret } } : { why: 'A new account needs its secret.' };
};

const AccountForm = ({ onClose }: { onClose: () => void }): ReactElement => {
  const { project } = useScope();
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [kind, setKind] = useState<AccountKind>('aws');
  const [text, setText] = useState(starters.aws);
  const [isChecked, setIsChecked] = useState(true);
  const read = readText(kind, text);
  const save = useMutation({
    mutationFn: (body: Body) => ask('setAccount', { params: { project, name }, query: { validate: isChecked ? 'true' : 'false' }, body }),
    onSuccess: async () => {
      notify(`account ${name} is kept`);
      onClose();
      await client.invalidateQueries({ queryKey: cloudKeys.accounts(project) });
    },
  });
  const why = isName(name) ? ('why' in read ? read.why : save.isPending ? 'It is being looked at.' : undefined) : `The name ${nameRule}.`;
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (why === undefined && 'body' in read) save.mutate(read.body);
  };
  const choose = (next: AccountKind): void => {
    setKind(next);
    if (Object.values(starters).includes(text)) setText(starters[next]);
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="Add cloud account"
      about={<p className="quiet">It is looked at before it is kept. The secret is sealed and never shown again.</p>}
      wide
    >
      <form onSubmit={submit}>
        <label>
          Name
          <input value={name} autoFocus autoComplete="off" spellCheck={false} onChange={(event) => setName(event.target.value)} />
        </label>
        <Choice label="Kind" value={kind} options={accountKindNames.map((each) => [each, each] as const)} commit={(next) => choose(next as AccountKind)} />
        <label>
          Settings and secret (YAML)
          <textarea rows={10} spellCheck={false} autoComplete="off" value={text} onChange={(event) => setText(event.target.value)} />
        </label>
        <Check label="Look whether it works first" value={isChecked} commit={setIsChecked} />
        {save.error !== null && <Problem failure={save.error} />}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" why={why}>
            Add
          </Button>
        </div>
      </form>
    </Dialog>
  );
};

const state = ({ checked }: AccountView): { tone: Tone; text: string } =>
  checked.failure !== undefined
    ? { tone: 'bad', text: 'does not work' }
    : checked.facts === undefined
      ? { tone: 'idle', text: 'not looked at yet' }
      : checked.facts.missing.length > 0
        ? { tone: 'warn', text: 'lacks permissions' }
        : { tone: 'good', text: 'works' };

const AccountCard = ({ account }: { account: AccountView }): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [isRemoving, setIsRemoving] = useState(false);
  const refresh = () => client.invalidateQueries({ queryKey: cloudKeys.accounts(project) });
  const params = { project, name: account.name };
  const check = useMutation({ mutationFn: () => ask('checkAccount', { params }), onSuccess: refresh });
  const remove = useMutation({
    mutationFn: () => ask('deleteAccount', { params }),
    onSuccess: async () => {
      setIsRemoving(false);
      await refresh();
    },
  });
  const { tone, text } = state(account);
  const { checked, usedBy } = account;
  const isTenants = account.project === '' ? 'It belongs to the tenant: gp cloud account delete --tenant.' : undefined;
  return (
    <Card title={account.name}>
      <div className="row">
        <Badge tone={tone} text={text} />
        <Button
          onClick={() => check.mutate()}
          why={whyNot('account.set') ?? (check.isPending ? 'It is being looked at.' : undefined)}
          label={`Check ${account.name}`}
        >
          Check
        </Button>
        <Button
          onClick={() => setIsRemoving(true)}
          why={whyNot('account.set') ?? isTenants ?? (usedBy.length > 0 ? 'Clusters use it.' : undefined)}
          label={`Remove ${account.name}`}
        >
          Remove
        </Button>
      </div>
      <Facts
        rows={[
          ['Kind', account.kind],
          ['Of', account.project === '' ? 'the tenant' : <Name key="p" text={account.project} />],
          ['Signs in with', account.signsInWith],
          ['Is', checked.facts === undefined ? undefined : <bdi key="i">{checked.facts.identity}</bdi>],
          ['Lacks', checked.facts === undefined || checked.facts.missing.length === 0 ? undefined : checked.facts.missing.join(', ')],
          ['Clusters', usedBy.length === 0 ? 'none' : usedBy.join(', ')],
          ['Looked at', checked.atMs === 0 ? undefined : <Age key="l" atMs={checked.atMs} />],
        ]}
      />
      {checked.failure !== undefined && <Problem failure={checked.failure} />}
      {check.error !== null && <Problem failure={check.error} />}
      <TypedConfirm
        open={isRemoving}
        onClose={() => setIsRemoving(false)}
        title="Remove account"
        about={<p>Its secret is forgotten. Nothing in the cloud is changed.</p>}
        name={account.name}
        action="Remove"
        error={remove.error}
        isPending={remove.isPending}
        onConfirm={() => remove.mutate()}
      />
    </Card>
  );
};

const Accounts = (): ReactElement => {
  const { project, whyNot } = useScope();
  const accounts = useQuery(accountsQuery(project));
  const [isAdding, setIsAdding] = useState(false);
  const add = (
    <Button kind="primary" onClick={() => setIsAdding(true)} why={whyNot('account.set')}>
      <Icon name="plus" />
      Add account
    </Button>
  );
  return (
    <Page
      title="Cloud accounts"
      tab="Cloud accounts"
      actions={
        <>
          <CopyMenu cli={`gp cloud account list --project ${project}`} yaml={() => accounts.data?.items} />
          {add}
        </>
      }
    >
      <Answer of={accounts} what="accounts">
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No cloud account yet">
              <p>
                With an account the hub makes clusters itself: in AWS, Azure, Google Cloud, vSphere, Nutanix, OpenStack or MAAS. With a kubeconfig it takes in
                one that is there.
              </p>
              <div className="row">{add}</div>
            </Empty>
          ) : (
            <div className="stack">
              {items.map((account) => (
                <AccountCard key={account.id} account={account} />
              ))}
            </div>
          )
        }
      </Answer>
      {isAdding && <AccountForm onClose={() => setIsAdding(false)} />}
    </Page>
  );
};

export default Accounts;
