import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactElement, type SyntheticEvent } from 'react';
import { ask } from '../api/client.ts';
import { macrosQuery, tenantMacrosQuery, type MacroView } from '../api/queries-content.ts';
import { keys } from '../api/queries.ts';
import { whyNot as whyNotIn } from '../model/allowed.ts';
import { Button } from '../parts/button.tsx';
import { CopyButton, CopyMenu } from '../parts/copy.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Check } from '../parts/field.tsx';
import { Icon } from '../parts/icon.tsx';
import { notify } from '../parts/notice.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { Age, Badge, Name } from '../parts/text.tsx';
import { TypedConfirm } from '../parts/typed-confirm.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';

/** Macros of this project, or of the whole tenant. */
type Of = 'project' | 'tenant';

const useMacroCalls = (of: Of) => {
  const { project } = useScope();
  const client = useQueryClient();
  const refresh = (): Promise<void> => client.invalidateQueries({ queryKey: of === 'project' ? keys.macros(project) : keys.tenantMacros });
  return {
    refresh,
    set: (name: string, body: { value: string; sensitive: boolean }) =>
      of === 'project' ? ask('setMacro', { params: { project, name }, body }) : ask('setTenantMacro', { params: { name }, body }),
    remove: (name: string) => (of === 'project' ? ask('deleteMacro', { params: { project, name } }) : ask('deleteTenantMacro', { params: { name } })),
  };
};

const nameForm = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

const SetMacro = ({ of, held, onClose }: { of: Of; held: MacroView | undefined; onClose: () => void }): ReactElement => {
  const calls = useMacroCalls(of);
  const [name, setName] = useState(held?.name ?? '');
  const [value, setValue] = useState(held?.sensitive === true ? '' : (held?.value ?? ''));
  const [sensitive, setSensitive] = useState(held?.sensitive ?? false);
  const save = useMutation({
    mutationFn: () => calls.set(name, { value, sensitive }),
    onSuccess: async () => {
      notify(`Macro ${name} is set; clusters that use it follow`);
      onClose();
      await calls.refresh();
    },
    gcTime: 0,
  });
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  const why = !nameForm.test(name)
    ? 'The name has letters, digits and underscores.'
    : sensitive && value === ''
      ? 'Type the value; the one that is kept is never shown.'
      : save.isPending
        ? 'It is on its way.'
        : undefined;
  return (
    <Dialog
      open
      onClose={onClose}
      title={held === undefined ? 'Add macro' : `Set macro ${held.name}`}
      about={<p>Every cluster that uses it follows at once.</p>}
    >
      <form onSubmit={submit}>
        <label>
          Name
          <input
            value={name}
            readOnly={held !== undefined}
            autoFocus={held === undefined}
            spellCheck={false}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <label>
          Value
          {sensitive ? (
            <input type="password" autoComplete="new-password" value={value} onChange={(event) => setValue(event.target.value)} />
          ) : (
            <textarea rows={4} spellCheck={false} value={value} onChange={(event) => setValue(event.target.value)} />
          )}
        </label>
        <Check label="Sensitive" hint="Kept sealed and shown nowhere; it stays so." value={sensitive} commit={setSensitive} />
        {save.error !== null && <Problem failure={save.error} />}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" why={why}>
            Set macro
          </Button>
        </div>
      </form>
    </Dialog>
  );
};

const Row = ({ of, macro, why, open }: { of: Of; macro: MacroView; why: string | undefined; open: () => void }): ReactElement => {
  const calls = useMacroCalls(of);
  const [isAsking, setIsAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () => calls.remove(macro.name),
    onSuccess: async () => {
      setIsAsking(false);
      await calls.refresh();
    },
  });
  return (
    <tr>
      <td>
        <Name text={macro.name} />
      </td>
      <td className="value-cell">{macro.sensitive ? <Badge tone="idle" text="sensitive, sealed" /> : <code>{macro.value.slice(0, 400)}</code>}</td>
      <td>
        <Age atMs={macro.updatedAtMs} />
      </td>
      <td>
        <div className="row end">
          <CopyButton text={`{{.spectro.macro.${macro.name}}}`} label="Copy reference" />
          <Button onClick={open} why={why}>
            Set
          </Button>
          <Button kind="danger" onClick={() => setIsAsking(true)} why={why}>
            Delete
          </Button>
        </div>
        <TypedConfirm
          open={isAsking}
          onClose={() => setIsAsking(false)}
          title="Delete macro"
          about={<p>Clusters that refer to it are not resolved until it is there again; what runs goes on.</p>}
          name={macro.name}
          action="Delete macro"
          error={remove.error}
          isPending={remove.isPending}
          onConfirm={() => remove.mutate()}
        />
      </td>
    </tr>
  );
};

const Macros = (): ReactElement => {
  const { project, who, whyNot } = useScope();
  const [asked, setOf] = useUrlState('of', 'project');
  const of: Of = asked === 'tenant' ? 'tenant' : 'project';
  const ofProject = useQuery({ ...macrosQuery(project), enabled: of === 'project' });
  const ofTenant = useQuery({ ...tenantMacrosQuery(), enabled: of === 'tenant' });
  const macros = of === 'tenant' ? ofTenant : ofProject;
  const [open, setOpen] = useState<{ held: MacroView | undefined } | undefined>(undefined);
  const why = of === 'tenant' ? whyNotIn(who, 'macro.set', undefined) : whyNot('macro.set');
  const add = (
    <Button kind="primary" onClick={() => setOpen({ held: undefined })} why={why}>
      <Icon name="plus" />
      Add macro
    </Button>
  );
  return (
    <Page
      title="Macros"
      tab="Macros"
      note="Values that many profiles share. A project's own macro wins over the tenant's of the same name."
      actions={
        <>
          <CopyMenu
            cli={of === 'tenant' ? `curl -H "Authorization: Bearer $GP_TOKEN" ${location.origin}/api/v1/macros` : `gp get macros --project ${project}`}
            yaml={() => macros.data?.items}
          />
          {add}
        </>
      }
    >
      <Tabs
        label="Whose macros"
        tabs={[
          { key: 'project', text: 'This project' },
          { key: 'tenant', text: 'The whole tenant' },
        ]}
        chosen={of}
        choose={setOf}
      />
      <Answer of={macros} what="macros">
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No macro yet">
              <p>
                Layers use a macro as <code>{'{{.spectro.macro.NAME}}'}</code>. Change it here, and every cluster follows.
              </p>
              <div className="row">{add}</div>
            </Empty>
          ) : (
            <div className="card scroll-x" tabIndex={0} role="region" aria-label="Macros">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col">Value</th>
                    <th scope="col">Changed</th>
                    <th scope="col">
                      <span className="unseen">Actions</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((macro) => (
                    <Row key={macro.id} of={of} macro={macro} why={why} open={() => setOpen({ held: macro })} />
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Answer>
      {open !== undefined && <SetMacro of={of} held={open.held} onClose={() => setOpen(undefined)} />}
    </Page>
  );
};

export default Macros;
