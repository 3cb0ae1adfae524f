import { useMutation } from '@tanstack/react-query';
import type { ProfilePreviewView, UseView } from '@groundplane/protocol/api/profile-views';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { useState, type ReactElement } from 'react';
import { ask } from '../api/client.ts';
import { kindTitle } from '../model/tone.ts';
import { Button } from '../parts/button.tsx';
import { Choice, Field } from '../parts/field.tsx';
import { Icon } from '../parts/icon.tsx';
import { Card } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Name } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { useDraftScope, type Draft } from './draft.ts';

const shownMax = 200;
type PreviewLayer = ProfilePreviewView['layers'][number];

export const originText = ({ origin }: Pick<UseView, 'origin'>): string => {
  switch (origin.from) {
    case 'cluster':
      return "the cluster's own value";
    case 'default':
      return `default of ${origin.profile}`;
    case 'unset':
      return `not set in ${origin.profile}, so empty`;
    case 'macro':
      return `macro of the ${origin.scope}`;
    case 'system':
      return 'the system';
    case 'pack':
      return `values of layer ${origin.layer}`;
  }
};

const List = ({ title, items }: { title: string; items: readonly string[] }): ReactElement | null =>
  items.length === 0 ? null : (
    <details>
      <summary>
        {title} ({items.length})
      </summary>
      <ul className="objects">
        {items.slice(0, shownMax).map((item) => (
          <li key={item}>
            <bdi>{item}</bdi>
          </li>
        ))}
        {items.length > shownMax && <li className="quiet">and {items.length - shownMax} more</li>}
      </ul>
    </details>
  );

/** Every reference of a layer and where its value comes from. */
export const Uses = ({ uses }: { uses: readonly UseView[] }): ReactElement | null =>
  uses.length === 0 ? null : (
    <details>
      <summary>References ({uses.length})</summary>
      <ul className="objects">
        {uses.slice(0, shownMax).map((use, index) => (
          <li key={`${use.where}/${use.reference}/${index}`}>
            <code>{use.reference}</code> <bdi className="quiet">in {use.where}</bdi>: <bdi>{originText(use)}</bdi>
            {use.sensitive && ', sensitive'}
          </li>
        ))}
        {uses.length > shownMax && <li className="quiet">and {uses.length - shownMax} more</li>}
      </ul>
    </details>
  );

const Layer = ({ layer }: { layer: PreviewLayer }): ReactElement => (
  <li className={`kind-${layer.kind}`}>
    <span className="layer-kind">{kindTitle[layer.kind]}</span>
    <Name text={layer.name} />
    <span className="quiet clip">
      <bdi>
        {layer.pack.name} {layer.pack.version}
        {layer.namespace === undefined ? '' : `, namespace ${layer.namespace}`}
      </bdi>
    </span>
    <List title="Objects" items={layer.objects} />
    <List title="Hooks" items={layer.hooks} />
    <List title="Images" items={layer.images} />
    <Uses uses={layer.uses} />
  </li>
);

const Shown = ({ preview }: { preview: ProfilePreviewView }): ReactElement => {
  const objects = preview.layers.reduce((sum, layer) => sum + layer.objects.length, 0);
  const images = new Set(preview.layers.flatMap((layer) => layer.images)).size;
  const warnings = preview.warnings.filter((warning) => warning.severity !== 'info');
  return (
    <div className="plan">
      <p>
        {preview.layers.length === 1 ? '1 layer' : `${preview.layers.length} layers`}, {objects === 1 ? '1 object' : `${objects} objects`},{' '}
        {images === 1 ? '1 image' : `${images} images`}.
      </p>
      {warnings.slice(0, 20).map((warning, index) => (
        <p key={`${warning.code}/${index}`} className={warning.severity === 'error' ? 'plan-warning bad' : 'plan-warning'}>
          <Icon name="warn" />
          <bdi>
            {warning.file}: {warning.message}
          </bdi>
        </p>
      ))}
      {warnings.length > 20 && <p className="quiet">and {warnings.length - 20} more</p>}
      <ol className="stack-preview" aria-label="Layers as a cluster gets them">
        {preview.layers.map((layer) => (
          <Layer key={layer.name} layer={layer} />
        ))}
      </ol>
    </div>
  );
};

const Trials = ({
  of,
  given,
  give,
}: {
  of: Draft['variables'];
  given: Readonly<Record<string, string>>;
  give: (name: string, value: string) => void;
}): ReactElement | null => {
  if (of.length === 0) return null;
  const open = of.some((variable) => variable.required && variable.default === undefined);
  return (
    <details open={open}>
      <summary>Values to try ({of.length})</summary>
      <div className="stack trials">
        {of.map((variable) =>
          variable.options.length > 0 ? (
            <Choice
              key={variable.name}
              label={variable.name}
              value={given[variable.name] ?? variable.default ?? ''}
              options={variable.options.map((option) => [option, option] as const)}
              commit={(value) => give(variable.name, value)}
            />
          ) : (
            <Field
              key={variable.name}
              label={variable.name}
              type={variable.sensitive ? 'password' : 'text'}
              value={given[variable.name] ?? ''}
              placeholder={variable.sensitive ? '' : (variable.default ?? (variable.required ? 'required' : 'empty'))}
              commit={(value) => give(variable.name, value)}
            />
          ),
        )}
      </div>
    </details>
  );
};

interface PreviewPartProps {
  name: string | undefined;
  spec: ProfileSpec | undefined;
  /** Of the document now; a preview of another text says so. */
  text: string;
}

/** What clusters would get, with values to try. Nothing is saved. */
export const PreviewPart = ({ name, spec, text }: PreviewPartProps): ReactElement => {
  const { project, whyNot } = useScope();
  const { variables } = useDraftScope();
  const [given, setGiven] = useState<Readonly<Record<string, string>>>({});
  const known = Object.fromEntries(Object.entries(given).filter(([key, value]) => value !== '' && variables.some((variable) => variable.name === key)));
  const of = `${text}\n${JSON.stringify(known)}`;
  const preview = useMutation({
    mutationFn: async (wanted: ProfileSpec) => ({
      of,
      view: await ask('previewProfile', { params: { project }, body: { spec: wanted, variables: known, ...(name === undefined ? {} : { name }) } }),
    }),
  });
  const why = whyNot('profile.create') ?? (spec === undefined ? 'Fix the problems first.' : preview.isPending ? 'It is being made.' : undefined);
  const isOld = preview.data !== undefined && preview.data.of !== of;
  return (
    <Card
      title="Preview"
      actions={
        <Button onClick={() => spec !== undefined && preview.mutate(spec)} why={why}>
          {preview.data === undefined ? 'Make preview' : 'Preview again'}
        </Button>
      }
    >
      <Trials of={variables} given={given} give={(key, value) => setGiven({ ...given, [key]: value })} />
      {preview.error !== null && <Problem failure={preview.error} />}
      {preview.data === undefined && preview.error === null && (
        <p className="quiet">Objects, images and where every value comes from, as a cluster would get them.</p>
      )}
      {isOld && <p className="note">Of an earlier text or other values.</p>}
      {preview.data !== undefined && preview.error === null && <Shown preview={preview.data.view} />}
    </Card>
  );
};
