import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { facts, printOne } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { apiTrouble, exits, type Outcome } from '../trouble.ts';

/** `gp whoami`. */
export const whoami = async (context: Context): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('whoami', {});
  if (!answer.ok) return apiTrouble(answer.failure);
  const who = answer.value;
  await printOne(context, who, who.subject, () =>
    facts([
      ['Who', printable(who.subject)],
      ['Tenant', printable(who.tenant.name)],
      ['Roles', printable(who.grants.map((grant) => `${grant.role}${grant.project === undefined ? '' : ` in ${grant.project}`}`).join(', '))],
      ['May', who.permissions.join(', ')],
      ['Hub', connection.value.hub],
      ['Project', printable(connection.value.project)],
    ]),
  );
  return exits.ok;
};
