import { useQuery } from '@tanstack/react-query';
import type { PackView } from '@groundplane/protocol/api/packs';
import type { ReactElement } from 'react';
import { packQuery } from '../api/queries-content.ts';
import { Answer } from '../parts/page.tsx';
import { Badge, Facts, Name } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import type { Unit } from './unit-choice.tsx';

const shownMax = 8;

const Findings = ({ of }: { of: PackView }): ReactElement => {
  const loud = of.findings.filter((finding) => finding.severity !== 'info');
  if (loud.length === 0) return <Badge tone="good" text="nothing odd" />;
  return (
    <ul className="plain">
      {loud.slice(0, shownMax).map((finding, index) => (
        <li key={`${finding.code}/${index}`}>
          <Badge tone={finding.severity === 'error' ? 'bad' : 'warn'} text={finding.severity} />{' '}
          <bdi>
            {finding.file}
            {finding.line === undefined ? '' : `:${finding.line}`} {finding.message}
          </bdi>
        </li>
      ))}
      {loud.length > shownMax && <li className="quiet">and {loud.length - shownMax} more; see gp pack lint</li>}
    </ul>
  );
};

const PackFacts = ({ of }: { of: PackView }): ReactElement => (
  <Facts
    rows={[
      [of.kind === 'pack' ? 'Pack' : 'Chart', <Name key="n" text={`${of.displayName} ${of.version}`} />],
      ...(of.description === undefined ? [] : ([['About', <bdi key="a">{of.description}</bdi>]] as const)),
      ...(of.kind === 'pack' && of.charts.length > 0
        ? ([['Charts', <bdi key="c">{of.charts.map((chart) => `${chart.name} ${chart.version}`).join(', ')}</bdi>]] as const)
        : []),
      ...(of.needs.length > 0
        ? ([
            [
              'Says',
              <ul key="s" className="plain">
                {of.needs.map((need) => (
                  <li key={need}>
                    <bdi>{need}</bdi>
                  </li>
                ))}
              </ul>,
            ],
          ] as const)
        : []),
      ['Lint', <Findings key="f" of={of} />],
    ]}
  />
);

/** What a unit says of itself, before somebody takes it. */
export const UnitFacts = ({ unit }: { unit: Unit }): ReactElement => {
  const { project } = useScope();
  const pack = useQuery({ ...packQuery(project, unit.digest), enabled: unit.kind !== 'zarf' });
  if (unit.kind === 'zarf') return <Facts rows={[['Package', <Name key="n" text={`${unit.name} ${unit.version}`} />]]} />;
  return (
    <Answer of={pack} what="the pack">
      {(data) => (
        <>
          <PackFacts of={data} />
          {data.readme !== undefined && data.readme.trim() !== '' && (
            <details>
              <summary>README</summary>
              <pre className="shown wrapped" tabIndex={0}>
                {data.readme}
              </pre>
            </details>
          )}
        </>
      )}
    </Answer>
  );
};
