import type { EditorView } from '@codemirror/view';
import { isInside } from '@groundplane/protocol/environment/infrastructure';
import { clusterDocumentSchema } from '@groundplane/protocol/profile';
import type { ClusterView, PlanView } from '@groundplane/protocol/api/views';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useDeferredValue, useMemo, useState, type ReactElement } from 'react';
import { stringify } from 'yaml';
import type { z } from 'zod';
import { ask } from '../api/client.ts';
import { clusterQuery, keys } from '../api/queries.ts';
import { ImportAgent } from '../cluster/import-agent.tsx';
import { checkDocument } from '../edit/check-document.ts';
import { Choices } from '../edit/cluster-choices.tsx';
import { ProblemList } from '../edit/problem-list.tsx';
import { clusterStarter } from '../edit/starters.ts';
import { useLeaveGuard } from '../edit/leave-guard.ts';
import { jumpTo, YamlEditor } from '../edit/yaml-editor.tsx';
import { clusterDocument } from '../model/documents.ts';
import { Button, LinkButton } from '../parts/button.tsx';
import { notify } from '../parts/notice.tsx';
import { Answer, Card, Page } from '../parts/page.tsx';
import { PlanPreview } from '../parts/plan-preview.tsx';
import { Problem } from '../parts/problem.tsx';
import { Name } from '../parts/text.tsx';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate } from '../url-state.ts';

type ClusterDocument = z.output<typeof clusterDocumentSchema>;

const reason = (document: ClusterDocument | undefined, cluster: ClusterView | undefined, project: string, problems: number): string | undefined => {
  if (document === undefined) return problems === 1 ? 'Fix the problem first.' : `Fix the ${problems} problems first.`;
  if (cluster !== undefined && document.metadata.name !== cluster.name) return `A cluster keeps its name: metadata.name must be ${cluster.name}.`;
  if (document.metadata.project !== undefined && document.metadata.project !== project)
    return `The document is of project ${document.metadata.project}; switch to it or take metadata.project out.`;
  return undefined;
};

const bodyOf = ({ metadata, spec }: ClusterDocument) => ({ spec, ...(metadata.labels === undefined ? {} : { labels: metadata.labels }) });

/** A plan, and the text that it is of: another text needs another plan. */
interface Planned {
  text: string;
  plan: PlanView;
}

const useChange = (cluster: ClusterView | undefined, onApplied: (applied: ClusterView) => void) => {
  const { project } = useScope();
  const client = useQueryClient();
  const plan = useMutation({
    mutationFn: async ({ text, of }: { text: string; of: ClusterDocument }): Promise<Planned> => ({
      text,
      plan: await ask('planCluster', { params: { project, name: of.metadata.name }, body: bodyOf(of) }),
    }),
  });
  const apply = useMutation({
    // The guard makes an update fail that somebody else's update overtook.
    mutationFn: (of: ClusterDocument) =>
      ask('applyCluster', {
        params: { project, name: of.metadata.name },
        query: cluster === undefined ? {} : { ifVersion: cluster.rowVersion },
        body: bodyOf(of),
      }),
    onSuccess: async (applied) => {
      notify(`${applied.name} is applied`);
      client.setQueryData(keys.cluster(project, applied.name), applied);
      onApplied(applied);
      await client.invalidateQueries({ queryKey: keys.clusters(project) });
    },
  });
  return { plan, apply };
};

/** A cluster with an agent inside is of no use before somebody applied the command in it. */
const Imported = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  return (
    <Page
      title={
        <>
          Import <Name text={name} />
        </>
      }
      tab={`Import ${name}`}
      actions={<LinkButton href={paths.cluster(project, name)}>To the cluster</LinkButton>}
    >
      <ImportAgent name={name} isFirst />
    </Page>
  );
};

interface EditingProps {
  initial: string;
  cluster: ClusterView | undefined;
  onApplied: (applied: ClusterView) => void;
}

const Editing = ({ initial, cluster, onApplied }: EditingProps): ReactElement => {
  const { project, whyNot } = useScope();
  const [text, setText] = useState(initial);
  const [view, setView] = useState<EditorView | null>(null);
  useLeaveGuard(text !== initial);
  const calm = useDeferredValue(text);
  const checked = useMemo(() => checkDocument(calm, clusterDocumentSchema), [calm]);
  const { plan, apply } = useChange(cluster, onApplied);
  const document = calm === text ? checked.value : undefined;
  const why = reason(document, cluster, project, checked.problems.length);
  const isPlanned = plan.data?.text === text;
  const applyWhy = whyNot('cluster.apply') ?? why ?? (!isPlanned ? 'Preview the plan of this text first.' : apply.isPending ? 'It is on its way.' : undefined);
  const actions = (
    <>
      <LinkButton href={cluster === undefined ? paths.clusters(project) : paths.cluster(project, cluster.name)}>Cancel</LinkButton>
      <Button
        onClick={() => document && plan.mutate({ text, of: document })}
        why={why ?? (plan.isPending ? 'It is being planned.' : undefined)}
        kind={isPlanned ? 'plain' : 'primary'}
      >
        Preview plan
      </Button>
      <Button onClick={() => document && apply.mutate(document)} why={applyWhy} kind={isPlanned ? 'primary' : 'plain'}>
        Apply
      </Button>
    </>
  );
  return (
    <Page
      title={
        cluster === undefined ? (
          'Create cluster'
        ) : (
          <>
            Edit <Name text={cluster.name} />
          </>
        )
      }
      tab={cluster === undefined ? 'Create cluster' : `Edit ${cluster.name}`}
      fill
      actions={actions}
    >
      <div className="edit-columns">
        <YamlEditor label="Cluster as YAML" text={text} problems={checked.problems} onChange={setText} view={view} onView={setView} />
        <div className="stack side">
          {apply.error !== null && <Problem failure={apply.error} />}
          {checked.problems.length > 0 && (
            <Card title={`Problems (${checked.problems.length})`}>
              <ProblemList problems={checked.problems} jump={(problem) => jumpTo(view, problem.from)} />
            </Card>
          )}
          {plan.error !== null && <Problem failure={plan.error} />}
          {plan.data !== undefined && (
            <Card title={isPlanned ? 'Plan' : 'Plan of an earlier text'}>
              <PlanPreview plan={plan.data.plan} />
            </Card>
          )}
          <Choices raw={checked.raw} text={text} setText={setText} own={cluster?.name} />
        </div>
      </div>
    </Page>
  );
};

const Existing = ({ name }: { name: string }): ReactElement => {
  const { project } = useScope();
  // What is edited is what was there when the editor opened; the guard tells when it is overtaken.
  const cluster = useQuery({ ...clusterQuery(project, name), staleTime: 0 });
  const [opened, setOpened] = useState<ClusterView | undefined>(undefined);
  if (opened === undefined && cluster.data !== undefined && !cluster.isFetching) setOpened(cluster.data);
  if (opened === undefined) {
    return (
      <Page
        title={
          <>
            Edit <Name text={name} />
          </>
        }
        tab={`Edit ${name}`}
      >
        <Answer of={cluster} what="the cluster">
          {() => null}
        </Answer>
      </Page>
    );
  }
  return (
    <Editing
      initial={stringify(clusterDocument(opened), { lineWidth: 0 })}
      cluster={opened}
      onApplied={(applied) => navigate(paths.cluster(project, applied.name))}
    />
  );
};

const Creating = (): ReactElement => {
  const { project } = useScope();
  const [imported, setImported] = useState<string>();
  const onApplied = ({ name, spec }: ClusterView): void => (isInside(spec.infrastructure) ? setImported(name) : navigate(paths.cluster(project, name)));
  return imported === undefined ? <Editing initial={clusterStarter} cluster={undefined} onApplied={onApplied} /> : <Imported name={imported} />;
};

const ClusterEdit = ({ name }: { name: string | undefined }): ReactElement => (name === undefined ? <Creating /> : <Existing name={name} />);

export default ClusterEdit;
