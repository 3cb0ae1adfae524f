import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { UnitView } from '@groundplane/protocol/api/packs';
import type { RegistryView } from '@groundplane/protocol/api/registries';
import { useState, type ReactElement } from 'react';
import { Link } from 'wouter';
import { ask } from '../api/client.ts';
import { packQuery, registriesQuery, unitsQuery, versionsQuery } from '../api/queries-content.ts';
import { keys } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { Choice, Field } from '../parts/field.tsx';
import { Answer } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Name, Tag } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';

export type Unit = Omit<UnitView, 'usedBy'>;
interface UnitChoiceProps {
  chosen: Unit | undefined;
  choose: (unit: Unit) => void;
}

const shownMax = 50;
const digestForm = /^sha256:[0-9a-f]{64}$/;

/** By the digest of an archive that was uploaded: what `gp` prints. */
const ByDigest = ({ choose }: { choose: (unit: Unit) => void }): ReactElement => {
  const { project } = useScope();
  const client = useQueryClient();
  const find = useMutation({
    mutationFn: (digest: string) => client.fetchQuery(packQuery(project, digest)),
    onSuccess: ({ kind, name, version, digest }) => choose({ kind, name, version, digest }),
  });
  return (
    <>
      <Field
        label="Digest of an uploaded archive"
        value=""
        placeholder="sha256:…"
        commit={(text) => find.mutate(text.trim())}
        check={(text) => (text.trim() === '' || digestForm.test(text.trim()) ? undefined : 'A digest is sha256: and 64 hexadecimal digits.')}
      />
      {find.error !== null && <Problem failure={find.error} />}
    </>
  );
};

const InHub = ({ chosen, choose }: UnitChoiceProps): ReactElement => {
  const { project } = useScope();
  const units = useQuery(unitsQuery(project));
  const [text, setText] = useState('');
  const wanted = text.trim().toLowerCase();
  return (
    <div className="stack">
      <Answer of={units} what="packs">
        {({ items, truncated }) => {
          const found = items.filter((unit) => `${unit.name} ${unit.version}`.toLowerCase().includes(wanted));
          if (items.length === 0) return <p className="quiet">Nothing was imported into this project yet. Take something from a registry.</p>;
          return (
            <>
              <label>
                Search
                <input type="search" value={text} onChange={(event) => setText(event.target.value)} placeholder="name or version" />
              </label>
              <ul className="unit-list" aria-label="Packs, charts and packages in the hub">
                {found.slice(0, shownMax).map((unit) => (
                  <li key={unit.digest}>
                    <button type="button" className="layer-choice" aria-pressed={chosen?.digest === unit.digest} onClick={() => choose(unit)}>
                      <Name text={unit.name} /> <Name text={unit.version} /> <Tag>{unit.kind}</Tag>
                      <span className="quiet">
                        {unit.registry === undefined ? '' : `from ${unit.registry}, `}
                        {unit.usedBy.length === 0
                          ? 'not used yet'
                          : `in ${unit.usedBy.length === 1 ? '1 profile version' : `${unit.usedBy.length} profile versions`}`}
                      </span>
                    </button>
                  </li>
                ))}
              </ul>
              {(found.length > shownMax || truncated) && <p className="quiet">More than fits here; search for the name.</p>}
            </>
          );
        }}
      </Answer>
      <ByDigest choose={choose} />
    </div>
  );
};

const Versions = ({ registry, artifact, choose }: { registry: string; artifact: string; choose: (unit: Unit) => void }): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [wanted, setWanted] = useState('');
  const versions = useQuery(versionsQuery(project, registry, artifact));
  const version = wanted === '' ? (versions.data?.items[0] ?? '') : wanted;
  const take = useMutation({
    mutationFn: () => ask('importArtifact', { params: { project, name: registry }, body: { artifact, ...(version === '' ? {} : { version }) } }),
    onSuccess: async ({ kind, name, version: taken, digest }) => {
      await client.invalidateQueries({ queryKey: keys.units(project) });
      choose({ kind, name, version: taken, digest, registry });
    },
  });
  return (
    <>
      <Answer of={versions} what="versions">
        {({ items, truncated }) => (
          <Choice
            label="Version"
            value={version}
            options={items.map((item) => [item, item] as const)}
            commit={setWanted}
            hint={truncated ? `The newest ${items.length} are shown.` : undefined}
          />
        )}
      </Answer>
      {take.error !== null && <Problem failure={take.error} />}
      {take.data?.warnings.map((warning) => (
        <p key={warning} className="quiet">
          {warning}
        </p>
      ))}
      <div className="row">
        <Button
          onClick={() => take.mutate()}
          why={
            whyNot('content.upload') ?? (version === '' ? 'Choose a version first.' : take.isPending ? 'It is on its way; large ones take a while.' : undefined)
          }
        >
          Import {artifact} {version}
        </Button>
      </div>
    </>
  );
};

interface ArtifactsProps {
  registry: RegistryView;
  artifact: string;
  set: (artifact: string) => void;
}

/** Only Helm repositories say what they have; OCI registries are asked for one name. */
const Artifacts = ({ registry, artifact, set }: ArtifactsProps): ReactElement => {
  const { project } = useScope();
  const list = useQuery({ ...versionsQuery(project, registry.name, undefined), enabled: registry.kind === 'helm' });
  return (
    <>
      <Field
        label="Artifact"
        value={artifact}
        placeholder="name below the registry's address"
        list="artifact-names"
        commit={(text) => set(text.trim())}
        hint={
          list.data === undefined
            ? 'Write the name; registries of this kind do not list what they have.'
            : `${list.data.items.length} to choose from; type a part of the name.`
        }
      />
      <datalist id="artifact-names">
        {list.data?.items.slice(0, 1000).map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
};

/** Registry → artifact → version → import. */
export const FromRegistry = ({ choose, registry: fixed }: { choose: (unit: Unit) => void; registry?: string }): ReactElement => {
  const { project } = useScope();
  const registries = useQuery(registriesQuery(project));
  const [named, setNamed] = useState('');
  const [artifact, setArtifact] = useState('');
  return (
    <Answer of={registries} what="registries">
      {({ items }) => {
        const registry = items.find((item) => item.name === (fixed ?? named)) ?? items[0];
        if (registry === undefined)
          return (
            <p>
              There is no registry yet. <Link href={paths.registries(project)}>Add one</Link>, then come back.
            </p>
          );
        return (
          <div className="stack">
            {fixed === undefined && (
              <Choice
                label="Registry"
                value={registry.name}
                options={items.map((item) => [item.name, `${item.name} (${item.kind})`] as const)}
                commit={setNamed}
              />
            )}
            <Artifacts key={registry.name} registry={registry} artifact={artifact} set={setArtifact} />
            {artifact !== '' && <Versions key={`${registry.name}/${artifact}`} registry={registry.name} artifact={artifact} choose={choose} />}
          </div>
        );
      }}
    </Answer>
  );
};

/** A pack, chart or package to put into a layer: one that is in the hub, or one from a registry. */
export const UnitChoice = ({ chosen, choose }: UnitChoiceProps): ReactElement => {
  const [from, setFrom] = useState<'hub' | 'registry'>('hub');
  return (
    <div className="stack">
      <div className="row" role="group" aria-label="Take it from">
        <Button kind="quiet" pressed={from === 'hub'} onClick={() => setFrom('hub')}>
          In the hub
        </Button>
        <Button kind="quiet" pressed={from === 'registry'} onClick={() => setFrom('registry')}>
          Registry
        </Button>
      </div>
      {from === 'hub' ? <InHub chosen={chosen} choose={choose} /> : <FromRegistry choose={choose} />}
    </div>
  );
};
