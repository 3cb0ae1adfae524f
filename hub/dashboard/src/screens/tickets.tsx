import { useState, type ReactElement } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { TicketView } from '@groundplane/protocol/api/views';
import { ask } from '../api/client.ts';
import { keys, ticketsQuery } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { Icon } from '../parts/icon.tsx';
import { Answer, Empty } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { Labels, Name, Tag } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { duration, exactTime, useNow } from '../time.ts';
import { CreateTicket } from './create-ticket.tsx';

/** A ticket with a list says how many of it are still to come. */
const ForWhom = ({ ticket }: { ticket: TicketView }): ReactElement => {
  if (ticket.serials === undefined) return <span className="quiet">any device</span>;
  const toCome = ticket.serialsToCome ?? ticket.serials;
  return (
    <span title="A device counts as come when it has used this ticket">
      {toCome === 0 ? `all ${ticket.serials} listed came` : `${toCome} of ${ticket.serials} listed still to come`}
    </span>
  );
};

const Row = ({ ticket }: { ticket: TicketView }): ReactElement => {
  const { project, whyNot } = useScope();
  const client = useQueryClient();
  const now = useNow();
  const withdraw = useMutation({
    mutationFn: () => ask('deleteTicket', { params: { project, name: ticket.name } }),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.tickets(project) }),
  });
  const isOver = ticket.expiresAtMs <= now;
  return (
    <tr>
      <td>
        <Name text={ticket.name} />
        {withdraw.error !== null && <Problem failure={withdraw.error} />}
      </td>
      <td className="number">{ticket.usesLeft}</td>
      <td>
        <ForWhom ticket={ticket} />
      </td>
      <td title={exactTime(ticket.expiresAtMs)}>{isOver ? 'expired' : `in ${duration(ticket.expiresAtMs - now)}`}</td>
      <td>{ticket.autoApprove ? <Tag title="Its hosts do not wait in the lobby">without approval</Tag> : 'through the lobby'}</td>
      <td>
        <Labels labels={ticket.labels} />
      </td>
      <td>
        <Button onClick={() => withdraw.mutate()} why={whyNot('ticket.delete') ?? (withdraw.isPending ? 'It is on its way.' : undefined)}>
          Withdraw
        </Button>
      </td>
    </tr>
  );
};

export const Tickets = (): ReactElement => {
  const { project, whyNot } = useScope();
  const tickets = useQuery(ticketsQuery(project));
  const [isCreating, setIsCreating] = useState(false);
  const create = (
    <Button kind="primary" onClick={() => setIsCreating(true)} why={whyNot('ticket.create')}>
      <Icon name="plus" />
      Create ticket
    </Button>
  );
  return (
    <>
      <div className="bulk">
        <span className="quiet">A ticket lets an agent knock at this hub. Whoever has its text can use it until it expires or is used up.</span>
        {create}
      </div>
      <Answer of={tickets} what="tickets">
        {(data) =>
          data.items.length === 0 ? (
            <Empty title="No ticket">
              <p>Create one for a machine or for a whole batch of them.</p>
            </Empty>
          ) : (
            <div className="card scroll-x" tabIndex={0} role="region" aria-label="Tickets">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col" className="number">
                      Uses left
                    </th>
                    <th scope="col">For</th>
                    <th scope="col">Expires</th>
                    <th scope="col">Hosts come in</th>
                    <th scope="col">Labels they get</th>
                    <th scope="col">Action</th>
                  </tr>
                </thead>
                <tbody>
                  {data.items.map((ticket) => (
                    <Row key={ticket.id} ticket={ticket} />
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Answer>
      {isCreating && <CreateTicket onClose={() => setIsCreating(false)} />}
    </>
  );
};
