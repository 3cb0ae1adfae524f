import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { facts, printOne } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { toneOf } from '../output/style.ts';
import { apiTrouble, exits, type Outcome } from '../trouble.ts';

/** `gp status`: the counters of the fleet, of one project with `--project`. */
export const status = async (context: Context): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { project } = context.globals;
  const answer = await connection.value.client.call('fleet', project === undefined ? {} : { query: { project } });
  if (!answer.ok) return apiTrouble(answer.failure);
  const fleet = answer.value;
  await printOne(context, fleet, 'fleet', (paint) => {
    const states = Object.entries(fleet.byState)
      .filter(([, count]) => count > 0)
      .map(([state, count]) => paint(toneOf(state), `${count} ${printable(state)}`))
      .join(', ');
    const lobby = fleet.lobby === 0 ? 'empty' : paint('warn', `${fleet.lobby} waiting   (gp get hosts --state lobby)`);
    return facts([
      ['Hub', connection.value.hub],
      ['Project', project === undefined ? 'all' : printable(project)],
      ['Hosts', `${fleet.online} of ${fleet.hosts} online${fleet.simulated === 0 ? '' : `, ${fleet.simulated} simulated`}`],
      ['Lobby', lobby],
      ['Clusters', `${fleet.clusters}${states === '' ? '' : `: ${states}`}`],
      ['Drifted', fleet.drifted === 0 ? 'none' : paint('warn', String(fleet.drifted))],
      ['Profiles', String(fleet.profiles)],
    ]);
  });
  return exits.ok;
};
