import { useState, type ReactElement } from 'react';
import { after } from '../clock.ts';
import { Button } from './button.tsx';
import { Icon } from './icon.tsx';
import { Menu } from './menu.tsx';
import { notify } from './notice.tsx';

/** The clipboard needs https or localhost; elsewhere the old command does it from a field that nobody sees. */
const copyByField = (text: string): boolean => {
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'unseen';
  // Inside of an open dialog nothing outside of it may take the focus.
  (document.querySelector('[role=dialog]') ?? document.body).append(field);
  field.select();
  const isDone = document.execCommand('copy');
  field.remove();
  return isDone;
};

export const copyText = async (text: string): Promise<boolean> => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByField(text);
  }
};

const failed = 'Nothing was copied: the browser does not let this page use the clipboard.';

export const CopyButton = ({ text, label }: { text: string; label: string }): ReactElement => {
  const [isDone, setIsDone] = useState(false);
  const copy = async (): Promise<void> => {
    if (!(await copyText(text))) return notify(failed);
    setIsDone(true);
    after(2000, () => setIsDone(false));
  };
  return (
    <Button onClick={() => void copy()}>
      <Icon name={isDone ? 'check' : 'copy'} />
      {isDone ? 'Copied' : label}
    </Button>
  );
};

/** Every screen's way to the command line and to a file. The YAML is made when asked for; its library is not a part of the first load. */
export const CopyMenu = ({ cli, yaml }: { cli: string; yaml?: (() => unknown) | undefined }): ReactElement => {
  const copy = async (text: string, what: string): Promise<void> => notify((await copyText(text)) ? `Copied: ${what}` : failed);
  const copyYaml = async (): Promise<void> => {
    const { stringify } = await import('yaml');
    await copy(stringify(yaml?.(), { lineWidth: 0 }), 'YAML');
  };
  const entries = [
    { key: 'cli', text: 'Copy as CLI', note: cli, choose: () => void copy(cli, cli) },
    ...(yaml === undefined ? [] : [{ key: 'yaml', text: 'Copy as YAML', choose: () => void copyYaml() }]),
  ];
  return (
    <Menu
      label="Copy as CLI or YAML"
      trigger={
        <>
          <Icon name="copy" />
          Copy
        </>
      }
      entries={entries}
    />
  );
};
