import type { Failure } from '@groundplane/protocol/failure';
import { applyPresets, choiceText, detectPresets, parsePresets, type DetectedPreset, type Preset } from '@groundplane/protocol/pack/presets';
import { useMemo, useState, type ReactElement } from 'react';
import { SideBySide } from '../edit/side-by-side.tsx';
import { Button } from '../parts/button.tsx';
import { Problem } from '../parts/problem.tsx';
import { Badge, Tag } from '../parts/text.tsx';
import { useValues, type PartProps } from './values-part.tsx';

interface GroupProps {
  group: string;
  presets: readonly Preset[];
  enabled: DetectedPreset | undefined;
  asked: string | undefined;
  ask: (preset: Preset) => void;
}

const Group = ({ group, presets, enabled, asked, ask }: GroupProps): ReactElement => (
  <fieldset>
    <legend>
      {group}
      {enabled === undefined && <span className="quiet"> none enabled</span>}
    </legend>
    {presets.map((preset) => (
      <label key={preset.name} className="check">
        <input type="radio" name={`preset-${group}`} checked={(asked ?? enabled?.name) === preset.name} onChange={() => ask(preset)} />
        <span>
          <bdi>{preset.displayName}</bdi>{' '}
          {enabled?.name === preset.name && <Tag title={enabled.by === 'comment' ? 'Named in the values' : 'The values look like it'}>enabled</Tag>}
          {enabled?.name === preset.name && !enabled.isUnchanged && (
            <>
              {' '}
              <Badge tone="warn" text="edited since" title="Some of what it set was changed" />
            </>
          )}
          {preset.description !== undefined && (
            <span className="hint">
              {' '}
              <bdi>{preset.description}</bdi>
            </span>
          )}
        </span>
      </label>
    ))}
  </fieldset>
);

/** What a choice would change, shown before it does. */
const Proposal = ({
  before,
  after,
  kept,
  apply,
  leave,
}: {
  before: string;
  after: string;
  kept: readonly string[];
  apply: () => void;
  leave: () => void;
}): ReactElement => (
  <section className="proposal" aria-label="What the preset changes">
    <header className="row spread">
      <h3>{before === after ? 'It changes nothing: the values are like this already.' : 'What it changes'}</h3>
      <div className="row">
        <Button onClick={leave}>Leave it</Button>
        <Button kind="primary" onClick={apply} why={before === after ? 'There is nothing to apply.' : undefined}>
          Apply preset
        </Button>
      </div>
    </header>
    {kept.length > 0 && <p className="note">Left as they are, since somebody changed them: {kept.join(', ')}</p>}
    {before !== after && <SideBySide before={before} after={after} labels={['Values now', 'Values with the preset']} />}
  </section>
);

/** Ready-made choices of the pack, one of each group. */
export const PresetsPart = ({ layer, unit }: PartProps): ReactElement => {
  const { text, write } = useValues(layer, unit);
  const { presets, findings } = useMemo(() => parsePresets(unit?.presets ?? ''), [unit?.presets]);
  const detected = useMemo(() => detectPresets(text, presets), [text, presets]);
  const [asked, setAsked] = useState<Preset | undefined>(undefined);
  const proposed = useMemo(() => (asked === undefined ? undefined : applyPresets(text, presets, [asked], unit?.values)), [asked, text, presets, unit?.values]);
  const failure: Failure | undefined = !detected.ok ? detected.failure : proposed?.ok === false ? proposed.failure : undefined;
  const enabled = detected.ok ? detected.value : [];
  const groups = [...Map.groupBy(presets, (preset) => preset.group)];
  const unknown = enabled.filter((each) => !each.isKnown);
  return (
    <div className="part">
      {presets.length === 0 && <p className="quiet">This pack has no presets that can be used.</p>}
      {findings.some((finding) => finding.severity === 'error') && <p className="note">Some presets of the pack cannot be read and are left out.</p>}
      {failure !== undefined && <Problem failure={failure} />}
      {unknown.length > 0 && <p className="note">The values name presets that this pack does not have: {unknown.map(choiceText).join(', ')}</p>}
      <div className="preset-groups">
        {groups.map(([group, members]) => (
          <Group
            key={group}
            group={group}
            presets={members}
            enabled={enabled.find((each) => each.group === group)}
            asked={asked?.group === group ? asked.name : undefined}
            ask={setAsked}
          />
        ))}
      </div>
      {asked !== undefined && proposed?.ok === true && (
        <Proposal
          before={text}
          after={proposed.value.values}
          kept={proposed.value.kept}
          leave={() => setAsked(undefined)}
          apply={() => {
            write(proposed.value.values);
            setAsked(undefined);
          }}
        />
      )}
    </div>
  );
};
