import { exportPaletteProfile } from '@groundplane/protocol/palette/export';
import type { profileDocumentSchema } from '@groundplane/protocol/profile';
import type { ReactElement } from 'react';
import type { z } from 'zod';
import { after } from '../clock.ts';
import { copyText } from '../parts/copy.tsx';
import { Menu } from '../parts/menu.tsx';
import { notify } from '../parts/notice.tsx';

type ProfileDocument = z.output<typeof profileDocumentSchema>;

const save = (name: string, type: string, text: string): void => {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  after(1_000, () => URL.revokeObjectURL(url));
};

const paletteOf = ({ metadata, spec }: ProfileDocument): { json: string; lost: number } => {
  const { profile, findings } = exportPaletteProfile({ name: metadata.name, version: metadata.version, labels: metadata.labels ?? {}, spec });
  return { json: `${JSON.stringify(profile, undefined, 2)}\n`, lost: findings.length };
};

const lostText = (lost: number): string => (lost === 0 ? '' : `; ${lost === 1 ? '1 thing has' : `${lost} things have`} no place in that format`);

interface TransferMenuProps {
  document: ProfileDocument | undefined;
  text: string;
  openImport: () => void;
  openClone: (() => void) | undefined;
}

/** Profiles in and out, and copies of them. */
export const TransferMenu = ({ document, text, openImport, openClone }: TransferMenuProps): ReactElement => {
  const file = document === undefined ? 'profile' : `${document.metadata.name}-${document.metadata.version}`;
  const ofValid = (act: (of: ProfileDocument) => void) => (): void => {
    if (document === undefined) notify('The profile has problems; fix them first.');
    else act(document);
  };
  const entries = [
    { key: 'import', text: 'Import…', note: 'Palette JSON or YAML', choose: openImport },
    ...(openClone === undefined ? [] : [{ key: 'clone', text: 'Clone…', note: 'another name, version or project', choose: openClone }]),
    { key: 'yaml', text: 'Download as YAML', choose: () => save(`${file}.yaml`, 'application/yaml', text) },
    {
      key: 'json',
      text: 'Download as Palette JSON',
      choose: ofValid((of) => {
        const { json, lost } = paletteOf(of);
        save(`${file}.json`, 'application/json', json);
        notify(`${file}.json is downloaded${lostText(lost)}`);
      }),
    },
    {
      key: 'copy',
      text: 'Copy as Palette JSON',
      choose: ofValid((of) => {
        const { json, lost } = paletteOf(of);
        void copyText(json).then((isDone) => notify(isDone ? `Copied: Palette JSON${lostText(lost)}` : 'Nothing was copied: the browser does not allow it.'));
      }),
    },
  ];
  return <Menu label="More: import, export, clone" trigger="More" entries={entries} />;
};
