import type { ClusterValuesView, UseView } from '@groundplane/protocol/api/profile-views';
import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import type { Paint } from '../output/style.ts';
import { table, type Column } from '../output/table.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';
import { badName } from './kinds.ts';

type Field = ClusterValuesView['layers'][number]['fields'][number];

const originText = ({ origin }: UseView): string => {
  switch (origin.from) {
    case 'macro':
      return `macro of the ${origin.scope}`;
    case 'default':
      return `default of profile ${origin.profile}`;
    case 'unset':
      return `not set (profile ${origin.profile} has no default)`;
    case 'pack':
      return `values of layer ${origin.layer}`;
    default:
      return origin.from;
  }
};

const fieldColumns: readonly Column<Field>[] = [
  { title: 'VALUE OF', value: (field) => field.path, max: 60 },
  { title: 'IS', value: (field) => field.value, max: 60 },
  { title: 'FROM', value: (field) => field.from },
  { title: 'OVER', value: (field) => (field.over.length === 0 ? '-' : field.over.join(', ')) },
];
const useColumns: readonly Column<UseView>[] = [
  { title: 'REFERENCE', value: (use) => use.reference, max: 60 },
  { title: 'IN', value: (use) => use.where },
  { title: 'FROM', value: originText },
];

const text = (view: ClusterValuesView, paint: Paint, isWide: boolean): string =>
  view.layers
    .filter((layer) => layer.fields.length + layer.uses.length > 0)
    .map((layer) =>
      [
        `${paint('bold', `layer ${printable(layer.name)}`)}\n`,
        layer.fields.length === 0 ? '' : table(layer.fields, fieldColumns, { isWide, paint }),
        layer.uses.length === 0 ? '' : table(layer.uses, useColumns, { isWide, paint }),
      ].join(''),
    )
    .join('\n') || 'no layer has values or references\n';

/** `gp get values CLUSTER`: with what values its layers run, and where each came from. */
export const showValues = async (context: Context, name: string | undefined): Promise<Outcome> => {
  if (name === undefined) return usage('get values', 'say of which cluster', 'gp get values CLUSTER');
  const bad = badName('cluster', name);
  if (bad !== undefined) return bad;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('clusterValues', { params: { project: connection.value.project, name } });
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.status === 404 ? 'gp get clusters' : undefined);
  await printOne(context, answer.value, `cluster/${name}`, (paint, isWide) => text(answer.value, paint, isWide));
  return exits.ok;
};
