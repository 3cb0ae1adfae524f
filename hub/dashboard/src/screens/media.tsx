import { useState, type ReactElement } from 'react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { MediaView } from '@groundplane/protocol/api/registries';
import type { CarriedHostView } from '@groundplane/protocol/api/site-routes';
import { limits } from '@groundplane/protocol/limits';
import { ask, type ApiError } from '../api/client.ts';
import { clustersQuery } from '../api/queries.ts';
import { mediumQuery, placeKeys, receiptsQuery } from '../api/queries-places.ts';
import { inOrderOfSending, readReceipt, receiptFilesMax, type ReadReceipt } from '../model/receipts.ts';
import { Button } from '../parts/button.tsx';
import { CopyButton } from '../parts/copy.tsx';
import { Choice } from '../parts/field.tsx';
import { ToneMark } from '../parts/icon.tsx';
import { Answer, Card, Page } from '../parts/page.tsx';
import { Age, Badge, Facts, Name } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { byteSize } from '../time.ts';
import { useUrlState } from '../url-state.ts';

const imagesShown = 20;

const Command = ({ text, label }: { text: string; label: string }): ReactElement => (
  <div className="row command">
    <code>{text}</code>
    <CopyButton text={text} label={label} />
  </div>
);

/** What lies on it, how it is made here, and what only gp can do: fetch images from their registries, sign, seal, and leave out what the site has. */
const Medium = ({ cluster, medium }: { cluster: string; medium: MediaView }): ReactElement => {
  const { project } = useScope();
  const blobs = new Map(medium.items.map((item) => [item.digest, item.size]));
  const bytes = [...blobs.values()].reduce((sum, size) => sum + size, 0);
  const whole = medium.images.length === 0;
  const orders = medium.items.some((item) => item.kind === 'desired');
  return (
    <div className="medium">
      <Facts
        rows={[
          ['Holds', `${blobs.size} blobs, ${byteSize(bytes)}`],
          ['For hosts', orders ? 'what each of them should be, signed' : 'no orders yet: no host was told this bundle'],
          [
            'Images',
            whole
              ? 'all that it needs lie on it'
              : `${medium.images.length} ${medium.images.length === 1 ? 'lies' : 'lie'} in ${medium.images.length === 1 ? 'its registry' : 'their registries'} only`,
          ],
        ]}
      />
      <div className="row">
        <a className={whole ? 'button primary' : 'button plain'} href={paths.mediaFile(project, cluster)} download>
          {whole ? 'Download the archive' : 'Download without those images'}
        </a>
      </div>
      <p className="quiet">
        Upload it on the local page of a host, or unpack it onto a stick: <code>tar -xf FILE -C /media/STICK</code>
      </p>
      <p className="quiet">It holds rendered objects with their secrets, in plain. Sealed for a recipient, signed, with images or as a folder, gp writes it:</p>
      <Command text={`gp media export ${cluster} ${cluster}.tar --project ${project}`} label="Copy command" />
      <Command
        text={`gp media export ${cluster} ${cluster}.tar.age --recipient AGE1… --sign KEY.pem --since OLD-MEDIUM --project ${project}`}
        label="Copy sealed"
      />
      {!whole && (
        <details>
          <summary>Images that are not on a downloaded archive</summary>
          <ul className="plain">
            {medium.images.slice(0, imagesShown).map((image) => (
              <li key={image.reference}>
                <bdi className="clip">{image.reference}</bdi>
              </li>
            ))}
            {medium.images.length > imagesShown && <li className="quiet">and {medium.images.length - imagesShown} more</li>}
          </ul>
        </details>
      )}
    </div>
  );
};

const Export = (): ReactElement => {
  const { project, whyNot } = useScope();
  const clusters = useQuery(clustersQuery(project));
  const [chosen, choose] = useUrlState('cluster');
  const why = whyNot('content.get');
  const medium = useQuery({ ...mediumQuery(project, chosen), enabled: chosen !== '' && why === undefined });
  return (
    <Card title="Make a medium">
      <p>A medium brings a cluster&apos;s hosts everything without a line: what they should be, signed, and what they need for it.</p>
      <Answer of={clusters} what="clusters">
        {(list) =>
          list.items.length === 0 ? (
            <p className="quiet">There is no cluster yet; a medium is for one.</p>
          ) : (
            <Choice label="Cluster" value={chosen} options={list.items.map((cluster) => [cluster.name, cluster.name] as const)} commit={choose} />
          )
        }
      </Answer>
      {why !== undefined && <p className="note">{why}</p>}
      {chosen !== '' && why === undefined && (
        <Answer of={medium} what="the medium">
          {(found) => <Medium cluster={chosen} medium={found} />}
        </Answer>
      )}
    </Card>
  );
};

const ReceiptRow = ({ row }: { row: CarriedHostView }): ReactElement => {
  const { project } = useScope();
  const isBehind = row.generation !== undefined && row.generation < row.generationWanted;
  return (
    <tr>
      <td>
        <Link href={paths.host(project, row.host)}>
          <Name text={row.host} />
        </Link>
      </td>
      <td>
        {row.cluster === undefined ? (
          <span className="quiet">none</span>
        ) : (
          <Link href={paths.cluster(project, row.cluster)}>
            <Name text={row.cluster} />
          </Link>
        )}
      </td>
      <td>{row.seq}</td>
      <td>
        <Age atMs={row.receivedAtMs} />
      </td>
      <td>
        {row.generation ?? '–'}
        {isBehind && ` of ${row.generationWanted}`}
      </td>
      <td>
        {row.online ? (
          <Badge tone="good" text="online again" />
        ) : isBehind && row.cluster !== undefined ? (
          <Link href={paths.media(project, row.cluster)}>
            <Badge tone="warn" text="needs a newer medium" />
          </Link>
        ) : (
          <Badge tone="idle" text="as brought" />
        )}
      </td>
    </tr>
  );
};

const Receipts = (): ReactElement => {
  const { project } = useScope();
  const receipts = useQuery(receiptsQuery(project));
  return (
    <Card title="Receipts that came back">
      <Answer of={receipts} what="receipts">
        {({ items }) =>
          items.length === 0 ? (
            <p className="quiet">None yet. A host writes one onto each medium that it took; the medium brings it back here.</p>
          ) : (
            <div className="scroll-x" tabIndex={0} role="region" aria-label="Last receipt of each host">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Host</th>
                    <th scope="col">Cluster</th>
                    <th scope="col">Receipt</th>
                    <th scope="col">Came</th>
                    <th scope="col">Generation</th>
                    <th scope="col">Standing</th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((row) => (
                    <ReceiptRow key={row.host} row={row} />
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Answer>
    </Card>
  );
};

interface Told {
  file: string;
  isTaken: boolean;
  text: string;
}

const readAll = async (files: readonly File[]): Promise<ReadReceipt[]> => {
  const read: ReadReceipt[] = [];
  // One after the other: a folder of thousands would otherwise be in memory at once.
  for (const file of files) read.push(readReceipt(file.name, file.size, file.size > limits.receiptBytes ? '' : await file.text()));
  return read;
};

const send = async (project: string, item: Extract<ReadReceipt, { receipt: unknown }>): Promise<Told> => {
  try {
    const answer = await ask('importReceipt', { params: { project }, body: item.receipt });
    const text =
      answer.state === 'known'
        ? `receipt ${answer.seq} of ${answer.host} was known already`
        : `receipt ${answer.seq} of ${answer.host}, ${answer.events} events`;
    return { file: item.file, isTaken: true, text };
  } catch (error) {
    return { file: item.file, isTaken: false, text: `${(error as ApiError).element}: ${(error as ApiError).message}` };
  }
};

const TakeReceipts = (): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const [told, setTold] = useState<readonly Told[]>([]);
  const [isBusy, setIsBusy] = useState(false);
  const [files, setFiles] = useState<readonly File[]>([]);
  const take = async (): Promise<void> => {
    setIsBusy(true);
    const read = await readAll(files);
    const lines: Told[] = read.flatMap((item) => ('problem' in item ? [{ file: item.file, isTaken: false, text: item.problem }] : []));
    for (const item of inOrderOfSending(read.filter((each) => 'receipt' in each))) lines.push(await send(project, item));
    setTold(lines);
    setIsBusy(false);
    await client.invalidateQueries({ queryKey: placeKeys.receipts(project) });
  };
  const why =
    whyNot('host.approve') ??
    (isBusy
      ? 'The chosen receipts are sent.'
      : files.length === 0
        ? 'Choose the files first.'
        : files.length > receiptFilesMax
          ? `These are ${files.length} files; choose at most ${receiptFilesMax} at once.`
          : undefined);
  return (
    <Card title="Take receipts">
      <p>
        Choose the files of the folder <code>receipts</code> on a medium that came back. Each counts once, and only with the signature of its host.
      </p>
      <div className="row">
        <label>
          Files of receipts
          <input type="file" multiple accept=".json,application/json" onChange={(event) => setFiles([...(event.target.files ?? [])])} />
        </label>
        <Button kind="primary" onClick={() => void take()} why={why}>
          Take {files.length === 0 ? 'receipts' : files.length === 1 ? 'one receipt' : `${files.length} receipts`}
        </Button>
      </div>
      {told.length > 0 && (
        <ul className="plain told" role="status" aria-label="What became of them">
          {told.map((line, index) => (
            <li key={`${line.file} ${index}`}>
              <ToneMark tone={line.isTaken ? 'good' : 'bad'} /> <bdi>{line.file}</bdi>: <bdi className={line.isTaken ? undefined : 'text-bad'}>{line.text}</bdi>
            </li>
          ))}
        </ul>
      )}
      <p className="quiet">From a command line:</p>
      <Command text={`gp media receipts MEDIUM --project ${project}`} label="Copy command" />
    </Card>
  );
};

/** By stick instead of by line: what goes out, and what comes back. */
const Media = (): ReactElement => (
  <Page title="Media" tab="Media" note="For hosts without a line: what goes to them, and what comes back.">
    <div className="detail-columns">
      <div className="stack">
        <Receipts />
        <TakeReceipts />
      </div>
      <div className="stack">
        <Export />
      </div>
    </div>
  </Page>
);
export default Media;
