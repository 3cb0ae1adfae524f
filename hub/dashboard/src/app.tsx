import { lazy, Suspense, useEffect, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Redirect, Route, Switch } from 'wouter';
import type { WhoView } from '@groundplane/protocol/api/views';
import { projectsQuery, whoQuery } from './api/queries.ts';
import { Button } from './parts/button.tsx';
import { Notices } from './parts/notice.tsx';
import { Answer, Loading, Page } from './parts/page.tsx';
import { Problem } from './parts/problem.tsx';
import { paths } from './paths.ts';
import { Cluster } from './screens/cluster.tsx';
import { Clusters } from './screens/clusters.tsx';
import { Events } from './screens/events.tsx';
import { Fleet } from './screens/fleet.tsx';
import { Host } from './screens/host.tsx';
import { Hosts } from './screens/hosts.tsx';
import { Lobby } from './screens/lobby.tsx';
import { Login } from './screens/login.tsx';
import { NewProject } from './screens/new-project.tsx';
import { Profiles } from './screens/profiles.tsx';
import { Setup } from './screens/setup.tsx';
import { Scope } from './scope.ts';
import { Shell } from './shell.tsx';
import { readStored, writeStored } from './stored.ts';
import { usePathParts } from './url-state.ts';

// The editor and the YAML library are most of the code; they come when an editor opens.
const ClusterEdit = lazy(() => import('./screens/cluster-edit.tsx'));
const ProfileEdit = lazy(() => import('./screens/profile-edit.tsx'));
const ProfileDiff = lazy(() => import('./screens/profile-diff.tsx'));
const Accounts = lazy(() => import('./screens/accounts.tsx'));
const Registries = lazy(() => import('./screens/registries.tsx'));
const Macros = lazy(() => import('./screens/macros.tsx'));
const Sites = lazy(() => import('./screens/sites.tsx'));
const Site = lazy(() => import('./screens/site.tsx'));
const Media = lazy(() => import('./screens/media.tsx'));
const FindByKey = lazy(() => import('./screens/find-by-key.tsx'));
const ApprovePhone = lazy(() => import('./screens/approve-phone.tsx'));

const NotFound = (): ReactElement => (
  <Page title="There is no such page" tab="Not found">
    <p>The address may be of an older version. Everything there is can be reached from the left.</p>
  </Page>
);

const Screens = (): ReactElement => {
  const [, project = '', , name = '', version = ''] = usePathParts();
  return (
    <Suspense fallback={<Loading what="the screen" />}>
      <Switch>
        <Route path="/p/:project/fleet" component={Fleet} />
        <Route path="/p/:project/clusters" component={Clusters} />
        <Route path="/p/:project/create/cluster">
          <ClusterEdit name={undefined} />
        </Route>
        <Route path="/p/:project/clusters/:name/edit">
          <ClusterEdit key={name} name={name} />
        </Route>
        <Route path="/p/:project/clusters/:name">
          <Cluster key={name} name={name} />
        </Route>
        <Route path="/p/:project/hosts" component={Hosts} />
        <Route path="/p/:project/hosts/:name">
          <Host key={name} name={name} />
        </Route>
        <Route path="/p/:project/lobby" component={Lobby} />
        <Route path="/p/:project/profiles" component={Profiles} />
        <Route path="/p/:project/create/profile">
          <ProfileEdit of={undefined} />
        </Route>
        <Route path="/p/:project/profiles/:name/diff">
          <ProfileDiff name={name} />
        </Route>
        <Route path="/p/:project/profiles/:name/:version">
          <ProfileEdit key={`${name}@${version}`} of={{ name, version }} />
        </Route>
        <Route path="/p/:project/accounts" component={Accounts} />
        <Route path="/p/:project/registries" component={Registries} />
        <Route path="/p/:project/sites" component={Sites} />
        <Route path="/p/:project/sites/:name">
          <Site key={name} name={name} />
        </Route>
        <Route path="/p/:project/media" component={Media} />
        <Route path="/p/:project/macros" component={Macros} />
        <Route path="/p/:project/events" component={Events} />
        <Route path="/p/:project">
          <Redirect to={paths.fleet(project)} replace />
        </Route>
        <Route component={NotFound} />
      </Switch>
    </Suspense>
  );
};

const InProject = ({ who }: { who: WhoView }): ReactElement => {
  const [, project = '', , name = ''] = usePathParts();
  useEffect(() => writeStored('project', project), [project]);
  return (
    <Scope value={{ project, who }}>
      <Switch>
        <Route path="/p/:project/approve/:name">
          <Suspense fallback={<Loading what="the screen" />}>
            <ApprovePhone key={name} name={name} />
          </Suspense>
        </Route>
        <Route>
          <Shell key={project}>
            <Screens />
          </Shell>
        </Route>
      </Switch>
    </Scope>
  );
};

/** The project of the last visit, or the first there is. */
const Start = ({ who }: { who: WhoView }): ReactElement => {
  const projects = useQuery(projectsQuery());
  return (
    <Answer of={projects} what="projects">
      {(list) => {
        const last = readStored('project');
        const project = list.find((each) => each.name === last) ?? list[0];
        return project === undefined ? <NewProject who={who} /> : <Redirect to={paths.fleet(project.name)} replace />;
      }}
    </Answer>
  ) as ReactElement;
};

const LoggedIn = (): ReactElement => {
  const who = useQuery(whoQuery());
  if (who.error?.status === 401) {
    const here = location.pathname + location.search;
    return <Redirect to={paths.login(here === '/' ? undefined : here)} replace />;
  }
  if (who.data === undefined && who.error !== null) {
    return (
      <Page title="The hub does not answer" tab="No answer">
        <Problem failure={who.error}>
          <Button onClick={() => void who.refetch()}>Try again</Button>
        </Problem>
      </Page>
    );
  }
  const known = who.data;
  if (known === undefined) return <Loading what="the dashboard" />;
  return (
    <Switch>
      <Route path="/p/:project/*?">
        <InProject who={known} />
      </Route>
      <Route path="/approve">
        <Suspense fallback={<Loading what="the screen" />}>
          <FindByKey />
        </Suspense>
      </Route>
      <Route path="/">
        <Start who={known} />
      </Route>
      <Route component={NotFound} />
    </Switch>
  );
};

export const App = (): ReactElement => (
  <>
    <Switch>
      <Route path="/login" component={Login} />
      <Route path="/setup" component={Setup} />
      <Route component={LoggedIn} />
    </Switch>
    <Notices />
  </>
);
