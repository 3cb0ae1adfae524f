import { useQuery } from '@tanstack/react-query';
import type { UnitView } from '@groundplane/protocol/api/packs';
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { artifactsQuery, unitsQuery } from '../api/queries-content.ts';
import { shortDigest } from '../model/names.ts';
import { CopyButton } from '../parts/copy.tsx';
import { Answer, Empty } from '../parts/page.tsx';
import { Age, Name, Tag } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';

const usedShownMax = 6;
const rowsMax = 500;

const UsedBy = ({ unit }: { unit: UnitView }): ReactElement => {
  const { project } = useScope();
  if (unit.usedBy.length === 0) return <span className="quiet">nothing yet</span>;
  return (
    <span className="layer-line">
      {unit.usedBy.slice(0, usedShownMax).map((ref) => {
        const at = ref.lastIndexOf('@');
        return (
          <Link key={ref} href={paths.profile(project, ref.slice(0, at), ref.slice(at + 1))}>
            <Name text={ref.replace('@', ' ')} />
          </Link>
        );
      })}
      {unit.usedBy.length > usedShownMax && <span className="quiet">and {unit.usedBy.length - usedShownMax} more</span>}
    </span>
  );
};

/** Packs, charts and packages that layers can name, and which profiles do. */
export const Units = (): ReactElement => {
  const { project } = useScope();
  const units = useQuery(unitsQuery(project));
  return (
    <Answer of={units} what="packs">
      {({ items, truncated }) =>
        items.length === 0 ? (
          <Empty title="Nothing is imported yet">
            <p>Choose a registry and import a chart, pack or package; layers of profiles name it by its digest from then on.</p>
          </Empty>
        ) : (
          <div className="card scroll-x" tabIndex={0} role="region" aria-label="Packs, charts and packages in the hub">
            <table>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Version</th>
                  <th scope="col">Kind</th>
                  <th scope="col">From</th>
                  <th scope="col">Digest</th>
                  <th scope="col">Used by</th>
                </tr>
              </thead>
              <tbody>
                {items.slice(0, rowsMax).map((unit) => (
                  <tr key={unit.digest}>
                    <td>
                      <Name text={unit.name} />
                    </td>
                    <td>
                      <Name text={unit.version} />
                    </td>
                    <td>
                      <Tag>{unit.kind}</Tag>
                    </td>
                    <td>{unit.registry === undefined ? <span className="quiet">uploaded</span> : <Name text={unit.registry} />}</td>
                    <td>
                      <code title={unit.digest}>{shortDigest(unit.digest)}</code>
                    </td>
                    <td>
                      <UsedBy unit={unit} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            {(truncated || items.length > rowsMax) && <p className="quiet">There are more than are shown here.</p>}
          </div>
        )
      }
    </Answer>
  );
};

const sizeText = (bytes: number): string => (bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`);

/** What was pushed to the hub's own registry. */
export const OwnArtifacts = (): ReactElement => {
  const { project } = useScope();
  const artifacts = useQuery(artifactsQuery(project));
  return (
    <Answer of={artifacts} what="artifacts">
      {({ items }) =>
        items.length === 0 ? (
          <Empty title="Nothing is in the hub's own registry">
            <p>Push a chart, pack or image to it with any OCI tool, with an API key as the password:</p>
            <CopyButton text={`helm push chart.tgz oci://${location.host}/${project}`} label="Copy the command" />
          </Empty>
        ) : (
          <div className="card scroll-x" tabIndex={0} role="region" aria-label="Artifacts in the hub's own registry">
            <table>
              <thead>
                <tr>
                  <th scope="col">Repository</th>
                  <th scope="col">Tag</th>
                  <th scope="col">Digest</th>
                  <th scope="col" className="number">
                    Size
                  </th>
                  <th scope="col">Pushed</th>
                </tr>
              </thead>
              <tbody>
                {items.slice(0, rowsMax).map((artifact) => (
                  <tr key={`${artifact.repository}:${artifact.tag}`}>
                    <td>
                      <Name text={artifact.repository} />
                    </td>
                    <td>
                      <Name text={artifact.tag} />
                    </td>
                    <td>
                      <code title={artifact.digest}>{shortDigest(artifact.digest)}</code>
                    </td>
                    <td className="number">{sizeText(artifact.size)}</td>
                    <td>
                      <Age atMs={artifact.createdAtMs} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            {items.length > rowsMax && <p className="quiet">There are {items.length - rowsMax} more.</p>}
          </div>
        )
      }
    </Answer>
  );
};
