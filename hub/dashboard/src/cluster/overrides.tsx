import type { EditorView } from '@codemirror/view';
import type { ClusterView, PlanView } from '@groundplane/protocol/api/views';
import { readSource } from '@groundplane/protocol/pack/source';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffectEvent, useMemo, useState, type ReactElement } from 'react';
import { ask } from '../api/client.ts';
import { packQuery } from '../api/queries-content.ts';
import { keys } from '../api/queries.ts';
import { useLeaveGuard } from '../edit/leave-guard.ts';
import { ProblemList } from '../edit/problem-list.tsx';
import { jumpTo, YamlEditor } from '../edit/yaml-editor.tsx';
import { Button } from '../parts/button.tsx';
import { notify } from '../parts/notice.tsx';
import { Card } from '../parts/page.tsx';
import { PlanPreview } from '../parts/plan-preview.tsx';
import { Problem } from '../parts/problem.tsx';
import { guideOf } from '../profile/guide.ts';
import { guided } from '../profile/values-extensions.ts';
import { useScope } from '../scope.ts';
import type { DocumentProblem } from '../edit/check-document.ts';

/** The cluster as it would be: an empty text takes the override away. */
const withOverride = (cluster: ClusterView, layer: string, values: string): ClusterView['spec'] => {
  const { overrides = {}, ...rest } = cluster.spec;
  const others = Object.entries(overrides).filter(([name]) => name !== layer);
  const next = values.trim() === '' ? others : [...others, [layer, { values }] as const];
  return { ...rest, ...(next.length === 0 ? {} : { overrides: Object.fromEntries(next) }) };
};

const check = (text: string): DocumentProblem[] =>
  readSource(text, 'values.yaml')
    .findings.filter((finding) => finding.severity === 'error')
    .map((finding) => ({ line: finding.line ?? 1, from: 0, to: 0, message: finding.message }));

interface Planned {
  text: string;
  plan: PlanView;
}

const useOverride = (cluster: ClusterView, layer: string) => {
  const { project } = useScope();
  const client = useQueryClient();
  const params = { project, name: cluster.name };
  const plan = useMutation({
    mutationFn: async (text: string): Promise<Planned> => ({
      text,
      plan: await ask('planCluster', { params, body: { spec: withOverride(cluster, layer, text), labels: cluster.labels } }),
    }),
  });
  const apply = useMutation({
    mutationFn: (text: string) =>
      ask('applyCluster', { params, query: { ifVersion: cluster.rowVersion }, body: { spec: withOverride(cluster, layer, text), labels: cluster.labels } }),
    onSuccess: async (applied) => {
      notify(`${applied.name} is applied`);
      plan.reset();
      client.setQueryData(keys.cluster(project, applied.name), applied);
      await client.invalidateQueries({ queryKey: keys.cluster(project, applied.name) });
    },
  });
  return { plan, apply };
};

interface OverridesProps {
  cluster: ClusterView;
  layer: string;
  settable: readonly string[];
  /** Of the pack or chart, for completion. */
  digest: string | undefined;
}

/** Values of one layer for this cluster only. Nothing is applied before its plan was seen. */
export const Overrides = ({ cluster, layer, settable, digest }: OverridesProps): ReactElement => {
  const { project, whyNot } = useScope();
  const unit = useQuery({ ...packQuery(project, digest ?? ''), enabled: digest !== undefined }).data;
  const known = useEffectEvent(() => guideOf(unit, []));
  const [more] = useState(() => guided(() => known()));
  const held = cluster.spec.overrides?.[layer]?.values ?? '';
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const text = typed ?? held;
  const [view, setView] = useState<EditorView | null>(null);
  const problems = useMemo(() => check(text), [text]);
  const { plan, apply } = useOverride(cluster, layer);
  useLeaveGuard(text !== held);
  const whyNoPlan =
    problems.length > 0 ? 'Fix the problem first.' : text === held ? 'Nothing is changed yet.' : plan.isPending ? 'It is being planned.' : undefined;
  const isPlanned = plan.data?.text === text;
  const whyNoApply =
    whyNot('cluster.apply') ?? whyNoPlan ?? (isPlanned ? (apply.isPending ? 'It is on its way.' : undefined) : 'Preview the plan of this text first.');
  return (
    <Card
      title={`Values of this cluster for ${layer}`}
      actions={
        <>
          <Button onClick={() => plan.mutate(text)} why={whyNoPlan} kind={isPlanned ? 'plain' : 'primary'}>
            Preview plan
          </Button>
          <Button onClick={() => apply.mutate(text, { onSuccess: () => setTyped(undefined) })} why={whyNoApply} kind={isPlanned ? 'primary' : 'plain'}>
            Apply
          </Button>
        </>
      }
    >
      <div className="part">
        <p className="quiet">
          {settable.length === 0
            ? 'The profile lets clusters set nothing of this layer. A new version can name paths under settable.'
            : `The profile lets clusters set: ${settable.includes('*') ? 'everything' : settable.join(', ')}. An empty text takes the override away.`}
        </p>
        <YamlEditor
          label={`Override for ${layer}`}
          text={text}
          problems={problems}
          onChange={setTyped}
          more={more}
          isReadOnly={settable.length === 0}
          view={view}
          onView={setView}
        />
        {problems.length > 0 && <ProblemList problems={problems} jump={(problem) => jumpTo(view, problem.from)} />}
        {plan.error !== null && <Problem failure={plan.error} />}
        {apply.error !== null && <Problem failure={apply.error} />}
        {plan.data !== undefined && (
          <section aria-label="Plan">
            <h3>{isPlanned ? 'Plan' : 'Plan of an earlier text'}</h3>
            <PlanPreview plan={plan.data.plan} />
          </section>
        )}
      </div>
    </Card>
  );
};
