import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { RegistryView } from '@groundplane/protocol/api/registries';
import { useState, type ReactElement } from 'react';
import { stringify } from 'yaml';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { CopyButton } from '../parts/copy.tsx';
import { Card } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Age, Badge, Facts, Name } from '../parts/text.tsx';
import { TypedConfirm } from '../parts/typed-confirm.tsx';
import { unitFields } from '../profile/layers.ts';
import { FromRegistry, type Unit } from '../profile/unit-choice.tsx';
import { UnitFacts } from '../profile/unit-facts.tsx';
import { useScope } from '../scope.ts';
import { RegistryForm } from './registry-form.tsx';

const Remove = ({ registry, onRemoved }: { registry: RegistryView; onRemoved: () => void }): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [isOpen, setIsOpen] = useState(false);
  const remove = useMutation({
    mutationFn: () => ask('deleteRegistry', { params: { project, name: registry.name } }),
    onSuccess: async () => {
      setIsOpen(false);
      onRemoved();
      await client.invalidateQueries({ queryKey: keys.registries(project) });
    },
  });
  return (
    <>
      <Button kind="danger" onClick={() => setIsOpen(true)} why={whyNot('registry.set')}>
        Delete
      </Button>
      <TypedConfirm
        open={isOpen}
        onClose={() => setIsOpen(false)}
        title="Delete registry"
        about={<p>The hub forgets its address and its password. What was imported stays, so profiles go on as they are.</p>}
        name={registry.name}
        action="Delete registry"
        error={remove.error}
        isPending={remove.isPending}
        onConfirm={() => remove.mutate()}
      />
    </>
  );
};

const Checked = ({ registry }: { registry: RegistryView }): ReactElement => {
  const { project, whyNot } = useScope();
  const check = useMutation({ mutationFn: () => ask('validateRegistry', { params: { project, name: registry.name } }) });
  return (
    <div className="stack" role="status">
      <div className="row">
        <Button onClick={() => check.mutate()} why={whyNot('registry.get') ?? (check.isPending ? 'The hub is trying it.' : undefined)}>
          Check now
        </Button>
        {check.data !== undefined && (
          <Badge tone={check.data.reachable ? 'good' : 'bad'} text={check.data.reachable ? 'reachable' : (check.data.code ?? 'not reachable')} />
        )}
      </div>
      {check.data !== undefined && (
        <p>
          <bdi>{check.data.message}</bdi>
        </p>
      )}
      {check.error !== null && <Problem failure={check.error} />}
    </div>
  );
};

const Taken = ({ unit }: { unit: Unit }): ReactElement => (
  <section aria-label="Imported" className="stack">
    <p>
      <Badge tone="good" text="imported" /> <Name text={`${unit.name} ${unit.version}`} /> <code>{unit.digest}</code>
    </p>
    <UnitFacts unit={unit} />
    <div className="row">
      <CopyButton text={stringify({ name: unit.name, kind: 'addon', ...unitFields(unit) }, { lineWidth: 0 })} label="Copy as a layer" />
    </div>
  </section>
);

/** One registry: where it is, whether it answers, and what it has. */
export const RegistryCard = ({ registry, onRemoved }: { registry: RegistryView; onRemoved: () => void }): ReactElement => {
  const { whyNot } = useScope();
  const [isChanging, setIsChanging] = useState(false);
  const [taken, setTaken] = useState<Unit | undefined>(undefined);
  return (
    <div className="stack">
      <Card
        title={`Registry ${registry.name.slice(0, 80)}`}
        actions={
          <>
            <Button onClick={() => setIsChanging(true)} why={whyNot('registry.set')}>
              Change
            </Button>
            <Remove registry={registry} onRemoved={onRemoved} />
          </>
        }
      >
        <Facts
          rows={[
            ['Address', <bdi key="u">{registry.url}</bdi>],
            ['Holds', { oci: 'Helm charts (OCI)', helm: 'Helm charts (repository)', pack: 'packs', zarf: 'Zarf packages' }[registry.kind]],
            ['User', registry.username === undefined ? <span className="quiet">nobody</span> : <Name key="n" text={registry.username} />],
            ['Password', registry.hasPassword ? 'kept sealed' : <span className="quiet">none</span>],
            ...(registry.mirrors.length > 0 ? ([['Mirrors', <bdi key="m">{registry.mirrors.join(', ')}</bdi>]] as const) : []),
            ...(registry.insecure ? ([['Transport', <Badge key="t" tone="warn" text="plain http" />]] as const) : []),
            ['Changed', <Age key="c" atMs={registry.updatedAtMs} />],
          ]}
        />
        <Checked registry={registry} />
      </Card>
      <Card title="Browse and import">
        <FromRegistry registry={registry.name} choose={setTaken} />
        {taken !== undefined && <Taken unit={taken} />}
      </Card>
      {isChanging && <RegistryForm held={registry} onClose={() => setIsChanging(false)} onSaved={() => undefined} />}
    </div>
  );
};
