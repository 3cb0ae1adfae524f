import { isRecord } from '@groundplane/protocol/record';
import { useQueries, useQuery } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { hostsQuery, profileQuery, profilesQuery } from '../api/queries.ts';
import { groupProfiles } from '../screens/profiles.tsx';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/page.tsx';
import { Name, Presence, Simulated, Tag } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { EnvironmentChoices } from './environment-choices.tsx';
import { addToList, setValue } from './change-document.ts';

interface ChoicesProps {
  raw: unknown;
  text: string;
  setText: (text: string) => void;
  /** The cluster that is edited; its own hosts are not free, but they are in the text. */
  own: string | undefined;
}

const shownMax = 30;
const listOf = (raw: unknown, key: string): unknown[] => {
  const spec = isRecord(raw) ? raw['spec'] : undefined;
  const list = isRecord(spec) ? spec[key] : undefined;
  return Array.isArray(list) ? list : [];
};

interface Chosen {
  name: string;
  version: string;
}
const isChosen = (value: unknown): value is Chosen =>
  isRecord(value) && typeof value['name'] === 'string' && typeof value['version'] === 'string' && value['name'] !== '' && value['version'] !== '';

const Profiles = ({ raw, text, setText }: ChoicesProps): ReactElement => {
  const { project } = useScope();
  const all = useQuery(profilesQuery(project)).data?.items ?? [];
  const chosen = listOf(raw, 'profiles').filter(isChosen);
  const groups = groupProfiles(all.filter((row) => row.state === 'released'));
  return (
    <Card title="Released profiles">
      {groups.length === 0 && <p className="quiet">There is none yet: release one first.</p>}
      <ul className="choices">
        {groups.slice(0, shownMax).map(([name, versions]) => {
          const newest = versions[0];
          const isIn = chosen.some((each) => each.name === name);
          return (
            <li key={name}>
              <Name text={name} />
              <span className="quiet">{newest?.version}</span>
              {newest !== undefined && <Tag>{newest.type}</Tag>}
              <Button
                onClick={() => setText(addToList(text, ['spec', 'profiles'], { name, version: newest?.version ?? '' }))}
                why={isIn ? 'It is in the document; change its version there.' : undefined}
                label={`Add profile ${name.slice(0, 80)}`}
              >
                Add
              </Button>
            </li>
          );
        })}
      </ul>
    </Card>
  );
};

const Hosts = ({ raw, text, setText, own }: ChoicesProps): ReactElement => {
  const { project } = useScope();
  const all = useQuery(hostsQuery(project)).data?.items ?? [];
  const chosen = listOf(raw, 'hosts');
  const free = all.filter((host) => host.cluster === undefined || host.cluster === own);
  return (
    <Card title="Free hosts">
      {free.length === 0 && <p className="quiet">Every approved host is in a cluster. Approve one in the lobby.</p>}
      <ul className="choices">
        {free.slice(0, shownMax).map((host) => (
          <li key={host.id}>
            <Name text={host.name} />
            <Simulated when={host.simulated} />
            <Presence online={host.online} lastSeenMs={host.lastSeenMs} />
            <Button
              onClick={() => setText(addToList(text, ['spec', 'hosts'], host.name))}
              why={chosen.includes(host.name) ? 'It is in the document.' : undefined}
              label={`Add host ${host.name.slice(0, 80)}`}
            >
              Add
            </Button>
          </li>
        ))}
        {free.length > shownMax && <li className="quiet">and {free.length - shownMax} more; write their names into the document</li>}
      </ul>
    </Card>
  );
};

const Variables = ({ raw, text, setText }: ChoicesProps): ReactElement | null => {
  const { project } = useScope();
  const chosen = listOf(raw, 'profiles').filter(isChosen).slice(0, 20);
  const profiles = useQueries({ queries: chosen.map(({ name, version }) => ({ ...profileQuery(project, name, version), retry: false })) });
  const variables = profiles.flatMap((profile) => profile.data?.spec.variables ?? []).filter((variable) => !variable.hidden);
  const spec = isRecord(raw) ? raw['spec'] : undefined;
  const held = isRecord(spec) && isRecord(spec['variables']) ? spec['variables'] : {};
  if (variables.length === 0) return null;
  return (
    <Card title="Variables">
      <ul className="choices">
        {variables.map((variable) => (
          <li key={variable.name}>
            <Name text={variable.name} />
            <span className="quiet clip" title={variable.description}>
              {variable.required ? 'required' : variable.default === undefined ? 'optional' : `default ${variable.sensitive ? '(hidden)' : variable.default}`}
            </span>
            <Button
              onClick={() => setText(setValue(text, ['spec', 'variables', variable.name], variable.sensitive ? '' : (variable.default ?? '')))}
              why={
                Object.hasOwn(held, variable.name)
                  ? 'It is set in the document.'
                  : variable.immutable
                    ? 'It is read-only; only a new profile version can change it.'
                    : undefined
              }
              label={`Set variable ${variable.name}`}
            >
              Set
            </Button>
          </li>
        ))}
      </ul>
    </Card>
  );
};

/** What there is to choose from, beside the document; a click writes it in and leaves comments as they are. */
export const Choices = (props: ChoicesProps): ReactElement => (
  <>
    <EnvironmentChoices {...props} />
    <Profiles {...props} />
    <Variables {...props} />
    <Hosts {...props} />
  </>
);
