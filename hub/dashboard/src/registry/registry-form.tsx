import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { RegistryView } from '@groundplane/protocol/api/registries';
import { registryKinds, type RegistryKind } from '@groundplane/protocol/registry-kinds';
import { useState, type ReactElement, type SyntheticEvent } from 'react';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { isName, nameRule } from '../model/names.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Check, Choice } from '../parts/field.tsx';
import { notify } from '../parts/notice.tsx';
import { Problem } from '../parts/problem.tsx';
import { useScope } from '../scope.ts';

const kindText: Readonly<Record<RegistryKind, string>> = {
  oci: 'Helm charts in an OCI registry',
  helm: 'Helm repository (https)',
  pack: 'Packs in an OCI registry',
  zarf: 'Zarf packages in an OCI registry',
};

interface Wanted {
  name: string;
  kind: RegistryKind;
  url: string;
  username: string;
  password: string;
  mirrors: string;
  tokenHosts: string;
  ca: string;
  insecure: boolean;
  validate: boolean;
}

const start = (registry: RegistryView | undefined): Wanted => ({
  name: registry?.name ?? '',
  kind: registry?.kind ?? 'oci',
  url: registry?.url ?? '',
  username: registry?.username ?? '',
  password: '',
  mirrors: (registry?.mirrors ?? []).join('\n'),
  tokenHosts: (registry?.tokenHosts ?? []).join('\n'),
  ca: registry?.ca ?? '',
  insecure: registry?.insecure ?? false,
  validate: true,
});

const lines = (text: string): string[] => text.split(/\s+/).filter((line) => line !== '');

const reason = (wanted: Wanted): string | undefined => {
  if (!isName(wanted.name)) return `The name ${nameRule}.`;
  if (wanted.kind === 'helm' ? !/^https?:\/\/./.test(wanted.url) : !/^oci:\/\/./.test(wanted.url))
    return wanted.kind === 'helm' ? 'A Helm repository has an address like https://charts.example/stable.' : 'Its address is like oci://registry.example/path.';
  return undefined;
};

interface FieldsProps {
  wanted: Wanted;
  set: (wanted: Wanted) => void;
  held: RegistryView | undefined;
}

const Access = ({ wanted, set, held }: FieldsProps): ReactElement => (
  <div className="two">
    <label>
      User
      <input value={wanted.username} autoComplete="off" spellCheck={false} onChange={(event) => set({ ...wanted, username: event.target.value })} />
    </label>
    <label>
      Password or token
      <input
        type="password"
        value={wanted.password}
        autoComplete="new-password"
        placeholder={held?.hasPassword === true ? 'unchanged' : ''}
        onChange={(event) => set({ ...wanted, password: event.target.value })}
      />
      <span className="hint">
        {held?.hasPassword === true ? 'One is kept sealed; it is never shown. Another address or user needs it again.' : 'Kept sealed and never shown again.'}
      </span>
    </label>
  </div>
);

const More = ({ wanted, set }: FieldsProps): ReactElement => (
  <details>
    <summary>Mirrors, certificates, token hosts</summary>
    <div className="stack trials">
      <label>
        Mirrors
        <textarea rows={2} spellCheck={false} value={wanted.mirrors} onChange={(event) => set({ ...wanted, mirrors: event.target.value })} />
        <span className="hint">Asked before the registry itself when reading, in order; one a line.</span>
      </label>
      <label>
        Certificate authority (PEM)
        <textarea rows={3} spellCheck={false} value={wanted.ca} onChange={(event) => set({ ...wanted, ca: event.target.value })} />
      </label>
      <label>
        Token hosts
        <textarea rows={2} spellCheck={false} value={wanted.tokenHosts} onChange={(event) => set({ ...wanted, tokenHosts: event.target.value })} />
        <span className="hint">Hosts of another owner that may see the password when the registry sends us there for a token.</span>
      </label>
      <Check
        label="Plain http to another machine"
        hint="Anybody between can read and change it."
        value={wanted.insecure}
        commit={(insecure) => set({ ...wanted, insecure })}
      />
    </div>
  </details>
);

/** Adds or changes a registry; the hub tries it with these credentials before it keeps them. */
export const RegistryForm = ({
  held,
  onClose,
  onSaved,
}: {
  held: RegistryView | undefined;
  onClose: () => void;
  onSaved: (name: string) => void;
}): ReactElement => {
  const { project } = useScope();
  const client = useQueryClient();
  const [wanted, set] = useState(() => start(held));
  const save = useMutation({
    mutationFn: () => {
      const { name, kind, url, username, password, ca, insecure, validate } = wanted;
      return ask('setRegistry', {
        params: { project, name },
        query: { validate: validate ? 'true' : 'false' },
        body: {
          kind,
          url: url.trim(),
          mirrors: lines(wanted.mirrors),
          tokenHosts: lines(wanted.tokenHosts),
          insecure,
          ...(username === '' ? {} : { username }),
          // With the user its password goes; a token without a user stays.
          ...(password !== '' ? { password } : username === '' && held?.username !== undefined ? { password: '' } : {}),
          ...(ca.trim() === '' ? {} : { ca }),
        },
      });
    },
    onSuccess: async ({ name }) => {
      notify(`Registry ${name} is ${held === undefined ? 'added' : 'changed'}`);
      onSaved(name);
      onClose();
      await client.invalidateQueries({ queryKey: keys.registries(project) });
      await client.invalidateQueries({ queryKey: ['registry-versions', project, name] });
    },
    // What was typed leaves the page's memory with the dialog.
    gcTime: 0,
  });
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  const fields = { wanted, set, held };
  return (
    <Dialog open onClose={onClose} title={held === undefined ? 'Add registry' : `Change registry ${held.name}`}>
      <form onSubmit={submit}>
        <div className="two">
          <label>
            Name
            <input
              value={wanted.name}
              autoFocus={held === undefined}
              readOnly={held !== undefined}
              spellCheck={false}
              onChange={(event) => set({ ...wanted, name: event.target.value })}
            />
          </label>
          <Choice
            label="What it holds"
            value={wanted.kind}
            options={registryKinds.map((kind) => [kind, kindText[kind]] as const)}
            commit={(kind) => set({ ...wanted, kind: registryKinds.find((each) => each === kind) ?? 'oci' })}
          />
        </div>
        <label>
          Address
          <input
            value={wanted.url}
            spellCheck={false}
            placeholder={wanted.kind === 'helm' ? 'https://charts.example/stable' : 'oci://registry.example/path'}
            onChange={(event) => set({ ...wanted, url: event.target.value })}
          />
        </label>
        <Access {...fields} />
        <More {...fields} />
        <Check label="Try it before it is saved" value={wanted.validate} commit={(validate) => set({ ...wanted, validate })} />
        {save.error !== null && <Problem failure={save.error} />}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" why={reason(wanted) ?? (save.isPending ? 'The hub is trying it.' : undefined)}>
            {held === undefined ? 'Add registry' : 'Save'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
};
