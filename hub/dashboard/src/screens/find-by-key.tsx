import type { ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link, Redirect } from 'wouter';
import { ask } from '../api/client.ts';
import { projectsQuery } from '../api/queries.ts';
import { Answer, useTitle } from '../parts/page.tsx';
import { PhoneFrame } from '../parts/phone-frame.tsx';
import { paths } from '../paths.ts';
import { useUrlState } from '../url-state.ts';

interface Found {
  project: string;
  name: string;
}

/** A device knows its key, not the project nor the name that the hub gave it: the first project that has it answers. */
const findHost = async (projects: readonly string[], key: string): Promise<Found | null> => {
  for (const project of projects) {
    const [host] = (await ask('listHosts', { params: { project }, query: { key } })).items;
    if (host !== undefined) return { project, name: host.name };
  }
  return null;
};

const NotThere = (): ReactElement => (
  <>
    <p>No device with this key waits in a project that you may see.</p>
    <p className="quiet">It may not have reached this hub yet: its own page says so. Or its project is one that your account does not show.</p>
    <p>
      <Link href="/">To the dashboard</Link>
    </p>
  </>
);

/** Where the QR code of a device leads: to its page, whatever it is called. */
const FindByKey = (): ReactElement => {
  const [key] = useUrlState('key');
  const projects = useQuery(projectsQuery()).data?.map((project) => project.name);
  const found = useQuery({ queryKey: ['host-by-key', key, projects], queryFn: () => findHost(projects ?? [], key), enabled: projects !== undefined });
  useTitle('Find the device');
  if (found.data !== undefined && found.data !== null) return <Redirect to={paths.approve(found.data.project, found.data.name)} replace />;
  return (
    <PhoneFrame title="Find the device">
      <Answer of={found} what="the device">
        {() => <NotThere />}
      </Answer>
    </PhoneFrame>
  );
};

export default FindByKey;
