import { useQueries, useQuery } from '@tanstack/react-query';
import type { ProfileComparisonView } from '@groundplane/protocol/api/profile-views';
import type { Variable } from '@groundplane/protocol/profile';
import { useState, type ReactElement, type ReactNode } from 'react';
import { ask } from '../api/client.ts';
import { keys, profileQuery } from '../api/queries.ts';
import { Field } from '../parts/field.tsx';
import { Answer, Card, Empty } from '../parts/page.tsx';
import { Badge } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { useUrlState } from '../url-state.ts';
import { ChosenText } from './chosen-text.tsx';

export interface Ref {
  name: string;
  version: string;
}
type Rendered = NonNullable<ProfileComparisonView['rendered']>;

const bothVariables = (specs: readonly (readonly Variable[])[]): Variable[] => [...new Map(specs.flat().map((variable) => [variable.name, variable])).values()];

/** Values for both sides: a profile is rendered for a cluster, and there is none here. */
const Values = ({
  variables,
  given,
  give,
}: {
  variables: readonly Variable[];
  given: Readonly<Record<string, string>>;
  give: (name: string, value: string) => void;
}): ReactElement | null =>
  variables.length === 0 ? null : (
    <details open={variables.some((variable) => variable.required && variable.default === undefined)}>
      <summary>Values that both are rendered with ({variables.length})</summary>
      <div className="form-grid trials">
        {variables.map((variable) => (
          <Field
            key={variable.name}
            label={variable.name}
            value={given[variable.name] ?? ''}
            type={variable.sensitive ? 'password' : 'text'}
            placeholder={variable.sensitive ? '' : (variable.default ?? (variable.required ? 'required' : 'empty'))}
            commit={(value) => give(variable.name, value)}
          />
        ))}
      </div>
    </details>
  );

const Objects = ({ of, sides }: { of: Rendered; sides: readonly [string, string] }): ReactElement => {
  const [wanted, setWanted] = useUrlState('object');
  if (of.objects.length === 0) return <Empty title="Clusters get the same objects from both" />;
  return (
    <>
      {of.hidden > 0 && (
        <p className="note">
          The first {of.objects.length} are shown; {of.hidden} more differ. See all of them: gp profile diff --rendered.
        </p>
      )}
      <ChosenText
        title={`Objects (${of.objects.length})`}
        items={of.objects.map((object) => ({ ...object, key: `${object.layer}/${object.object}`, group: `layer ${object.layer}`, name: object.object }))}
        wanted={wanted}
        choose={setWanted}
        sides={sides}
        words={{ remove: 'pruned', add: 'added', change: 'changed' }}
      />
    </>
  );
};

const Images = ({ of }: { of: Rendered['images'] }): ReactElement => (
  <Card title="Images">
    <p className="quiet">
      {of.same === 1 ? '1 image is' : `${of.same} images are`} in both.{' '}
      {of.added.length + of.removed.length === 0 && 'Nothing has to be pulled or mirrored anew.'}
    </p>
    <ul className="plain">
      {of.added.map((image) => (
        <li key={`+${image}`}>
          <Badge tone="good" text="added" /> <bdi>{image}</bdi>
        </li>
      ))}
      {of.removed.map((image) => (
        <li key={`-${image}`}>
          <Badge tone="bad" text="removed" /> <bdi>{image}</bdi>
        </li>
      ))}
    </ul>
  </Card>
);

/** What clusters would get from either version: objects, or images. */
export const RenderedComparison = ({ from, to, show }: { from: Ref; to: Ref; show: 'rendered' | 'images' }): ReactNode => {
  const { project } = useScope();
  const [given, setGiven] = useState<Readonly<Record<string, string>>>({});
  const profiles = useQueries({ queries: [from, to].map(({ name, version }) => profileQuery(project, name, version)) });
  const variables = bothVariables(profiles.map((profile) => profile.data?.spec.variables ?? []));
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
  const answer = useQuery({
    queryKey: [...keys.profileOf(project, to.name), 'rendered', from, to, known],
    queryFn: () => ask('compareProfiles', { params: { project }, body: { from, to, variables: known, rendered: true } }),
    gcTime: 60_000,
    retry: false,
  });
  const sides = [`${from.name} ${from.version}`, `${to.name} ${to.version}`] as const;
  return (
    <>
      <Values variables={variables} given={given} give={(name, value) => setGiven({ ...given, [name]: value })} />
      <Answer of={answer} what="the rendered comparison">
        {({ rendered }) => (rendered === undefined ? null : show === 'images' ? <Images of={rendered.images} /> : <Objects of={rendered} sides={sides} />)}
      </Answer>
    </>
  );
};
