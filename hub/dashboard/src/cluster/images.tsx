import { useQuery } from '@tanstack/react-query';
import { apiBase } from '@groundplane/protocol/api/routes';
import { useMemo, useState, type ReactElement } from 'react';
import { clusterImagesQuery } from '../api/queries-content.ts';
import { shortDigest } from '../model/names.ts';
import { CopyButton } from '../parts/copy.tsx';
import { Answer, Card, Empty } from '../parts/page.tsx';
import { Name } from '../parts/text.tsx';
import { useScope } from '../scope.ts';

const shownMax = 1_000;

/** Every image that the cluster's layers name, and its bill of materials. */
const ClusterImages = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  const images = useQuery(clusterImagesQuery(project, name));
  const [text, setText] = useState('');
  const found = useMemo(
    () => (images.data?.items ?? []).filter((image) => `${image.reference} ${image.layers.join(' ')}`.toLowerCase().includes(text.trim().toLowerCase())),
    [images.data, text],
  );
  const sbom = `${apiBase}/projects/${encodeURIComponent(project)}/clusters/${encodeURIComponent(name)}/sbom`;
  return (
    <Answer of={images} what="images">
      {({ bundle, items }) =>
        items.length === 0 ? (
          <Empty title="No layer of this cluster names an image" />
        ) : (
          <Card
            title={`Images (${items.length})`}
            actions={
              <>
                <CopyButton text={items.map((image) => image.reference).join('\n')} label="Copy the list" />
                <a className="button" href={sbom} download={`${name}.cdx.json`}>
                  Download SBOM
                </a>
              </>
            }
          >
            <p className="quiet">
              Of the bundle <code title={bundle}>{shortDigest(bundle)}</code>. The bill of materials is CycloneDX 1.6.
            </p>
            <label>
              Find
              <input type="search" value={text} onChange={(event) => setText(event.target.value)} placeholder="image or layer" />
            </label>
            <div className="scroll-x" tabIndex={0} role="region" aria-label="Images of the cluster">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Image</th>
                    <th scope="col">Layers</th>
                  </tr>
                </thead>
                <tbody>
                  {found.slice(0, shownMax).map((image) => (
                    <tr key={image.reference}>
                      <td className="value-cell">
                        <code>{image.reference}</code>
                      </td>
                      <td>
                        <Name text={image.layers.join(', ')} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </Card>
        )
      }
    </Answer>
  );
};

export default ClusterImages;
