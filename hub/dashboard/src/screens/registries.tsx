import { useQuery } from '@tanstack/react-query';
import type { RegistryView } from '@groundplane/protocol/api/registries';
import { useState, type ReactElement } from 'react';
import { registriesQuery } from '../api/queries-content.ts';
import { Button } from '../parts/button.tsx';
import { CopyMenu } from '../parts/copy.tsx';
import { Icon } from '../parts/icon.tsx';
import { Answer, Empty, Page } from '../parts/page.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { Name } from '../parts/text.tsx';
import { RegistryCard } from '../registry/registry-card.tsx';
import { RegistryForm } from '../registry/registry-form.tsx';
import { OwnArtifacts, Units } from '../registry/units.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';

const parts = [
  { key: 'registries', text: 'Registries' },
  { key: 'units', text: 'Imported, and where used' },
  { key: 'own', text: "The hub's own registry" },
] as const;

const List = ({ items, add }: { items: readonly RegistryView[]; add: ReactElement }): ReactElement => {
  const [wanted, setWanted] = useUrlState('name');
  const chosen = items.find((item) => item.name === wanted) ?? items[0];
  if (chosen === undefined) {
    return (
      <Empty title="No registry yet">
        <p>A registry is where charts, packs and Zarf packages come from. Add one; its password is kept sealed.</p>
        <div className="row">{add}</div>
      </Empty>
    );
  }
  return (
    <div className="stack-columns">
      <section className="card stack-card" aria-label="Registries">
        <ul className="stack-preview">
          {items.map((item) => (
            <li key={item.id}>
              <button type="button" className="layer-choice" aria-pressed={item === chosen} onClick={() => setWanted(item.name)}>
                <Name text={item.name} />
                <span className="quiet clip">
                  <bdi>{item.url}</bdi>
                </span>
              </button>
            </li>
          ))}
        </ul>
      </section>
      <RegistryCard key={chosen.name} registry={chosen} onRemoved={() => setWanted('')} />
    </div>
  );
};

const Registries = (): ReactElement => {
  const { project, whyNot } = useScope();
  const registries = useQuery(registriesQuery(project));
  const [asked, setPart] = useUrlState('tab', 'registries');
  const [, setWanted] = useUrlState('name');
  const [isAdding, setIsAdding] = useState(false);
  const part = parts.find((each) => each.key === asked)?.key ?? 'registries';
  const add = (
    <Button kind="primary" onClick={() => setIsAdding(true)} why={whyNot('registry.set')}>
      <Icon name="plus" />
      Add registry
    </Button>
  );
  return (
    <Page
      title="Registries"
      tab="Registries"
      actions={
        <>
          <CopyMenu cli={`gp registry list --project ${project}`} yaml={() => registries.data?.items} />
          {add}
        </>
      }
    >
      <Tabs label="Parts of the registries" tabs={parts} chosen={part} choose={setPart} />
      {part === 'registries' && (
        <Answer of={registries} what="registries">
          {({ items }) => <List items={items} add={add} />}
        </Answer>
      )}
      {part === 'units' && <Units />}
      {part === 'own' && <OwnArtifacts />}
      {isAdding && <RegistryForm held={undefined} onClose={() => setIsAdding(false)} onSaved={setWanted} />}
    </Page>
  );
};

export default Registries;
