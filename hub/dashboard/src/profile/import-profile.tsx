import { isRecord } from '@groundplane/protocol/record';
import { useQuery } from '@tanstack/react-query';
import type { UnitView } from '@groundplane/protocol/api/packs';
import type { Finding } from '@groundplane/protocol/finding';
import { importPaletteProfile, type ImportedSource } from '@groundplane/protocol/palette/import';
import { useMemo, useState, type ReactElement } from 'react';
import { stringify } from 'yaml';
import { unitsQuery } from '../api/queries-content.ts';
import { readText, setValue } from '../edit/change-document.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Badge } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { sketchLayers, unitFields } from './layers.ts';

interface Read {
  document: string;
  findings: Finding[];
  /** What the hub does not have yet. */
  open: ImportedSource[];
}

const fileMax = 5 * 1024 * 1024;
const shownMax = 30;

/** Names of the same version in the hub fill in the digests; what is left needs a registry. */
const filledIn = (text: string, sources: readonly ImportedSource[], units: readonly UnitView[]): { text: string; open: ImportedSource[] } => {
  let filled = text;
  const open: ImportedSource[] = [];
  for (const source of sources) {
    const kind = source.kind === 'helm' ? 'chart' : source.kind;
    const unit = units.find((each) => each.kind === kind && each.name === source.name && each.version === source.version);
    const layer = sketchLayers(readText(filled)).find((each) => each.name === source.layer);
    if (unit === undefined || layer === undefined) {
      open.push(source);
      continue;
    }
    for (const [key, value] of Object.entries(unitFields(unit)))
      filled = setValue(filled, ['spec', 'layers', layer.index, key], { ...(isRecord(layer.raw[key]) ? layer.raw[key] : {}), ...(value as object) });
  }
  return { text: filled, open };
};

const readProfile = (text: string, units: readonly UnitView[]): Read | { why: string } => {
  if (text.trim() === '') return { why: 'Paste a profile, or choose a file.' };
  const value = readText(text);
  if (!isRecord(value)) return { why: 'This is neither JSON nor YAML of one profile.' };
  if (value['kind'] === 'Profile') return { document: text, findings: [], open: [] };
  const imported = importPaletteProfile(value, 'profile.json');
  if (!imported.ok) return { why: imported.failure.message };
  const written = stringify(imported.value.document, { lineWidth: 0, blockQuote: 'literal' });
  const { text: document, open } = filledIn(written, imported.value.sources, units);
  return { document, open, findings: imported.value.findings };
};

const Told = ({ read }: { read: Read }): ReactElement => (
  <section aria-label="What the import says">
    <ul className="plain">
      {read.open.map((source) => (
        <li key={source.layer}>
          <Badge tone="warn" text="to import" />{' '}
          <bdi>
            layer {source.layer}: the {source.kind} {source.name} {source.version}
            {source.registry === '' ? '' : ` of registry ${source.registry}`} is not in the hub. Press Swap at the layer to take it from a registry.
          </bdi>
        </li>
      ))}
      {read.findings.slice(0, shownMax).map((finding, index) => (
        <li key={`${finding.code}/${index}`}>
          <Badge tone={finding.severity === 'error' ? 'bad' : finding.severity === 'warning' ? 'warn' : 'idle'} text={finding.severity} />{' '}
          <bdi>{finding.message}</bdi>
        </li>
      ))}
      {read.findings.length > shownMax && <li className="quiet">and {read.findings.length - shownMax} more</li>}
      {read.open.length + read.findings.length === 0 && <li className="calm">Nothing is lost or missing.</li>}
    </ul>
  </section>
);

/** A profile from elsewhere: JSON as Palette exports it, or YAML of our own. What cannot be kept is told before it is taken. */
export const ImportProfile = ({ onClose, take }: { onClose: () => void; take: (document: string) => void }): ReactElement => {
  const { project } = useScope();
  const units = useQuery(unitsQuery(project)).data?.items;
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const read = useMemo(() => readProfile(text, units ?? []), [text, units]);
  const open = async (file: File | undefined): Promise<void> => {
    setProblem(file !== undefined && file.size > fileMax ? `${file.name} has more than ${fileMax / 1024 / 1024} MiB; no profile is that large.` : undefined);
    if (file !== undefined && file.size <= fileMax) setText(await file.text());
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="Import profile"
      wide
      about={<p>JSON that Palette exported, or a profile of ours as YAML. It comes into the editor; nothing is saved yet.</p>}
    >
      <label>
        File
        <input type="file" accept=".json,.yaml,.yml,application/json" onChange={(event) => void open(event.target.files?.[0])} />
      </label>
      {problem !== undefined && <p className="note">{problem}</p>}
      <label>
        Or paste it
        <textarea rows={10} spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} />
      </label>
      {!('why' in read) && <Told read={read} />}
      <div className="row end">
        <Button onClick={onClose}>Cancel</Button>
        <Button
          kind="primary"
          why={'why' in read ? read.why : undefined}
          onClick={() => {
            if ('why' in read) return;
            take(read.document);
            onClose();
          }}
        >
          Put into the editor
        </Button>
      </div>
    </Dialog>
  );
};
