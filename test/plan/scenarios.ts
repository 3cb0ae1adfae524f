import { digestBytes } from '@groundplane/protocol/digest';
import { base, disk, everything, jobs, net, web } from './layers.ts';
import { bundleOf, kubernetesLayer, layer, object, osLayer, unreachable } from './model.ts';
import { addForeign, deleteObject, editObject, type Teller } from './scenario.ts';

/** Every story that the planner is asked, by the name of its transcript. */
export const scenarios: Record<string, [string, (t: Teller) => void]> = {
  'fresh-install': [
    'A fresh install with every kind of layer',
    (t) => {
      t.want('base, k8s, net, disk, web', everything);
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  drift: [
    'Drift of each kind is healed',
    (t) => {
      t.want('base, k8s, net, disk, web', everything);
      t.apply();
      t.happens('a file is edited, another one is deleted, a third one gets another mode', (w) => {
        w.files.set('/etc/motd', { digest: digestBytes('by hand'), mode: '0644', owner: 'root', group: 'root' });
        w.files.delete('/etc/app.conf');
        w.files.set('/etc/systemd/system/app.service', { digest: digestBytes('unit'), mode: '0666', owner: 'root', group: 'root' });
      });
      t.plan();
      t.apply();
      t.happens('a setting is turned back, and two units are stopped or disabled', (w) => {
        w.sysctls.set('vm.swappiness', '60');
        w.units.set('app.service', { enabled: true, active: false });
        w.units.set('ssh.service', { enabled: false, active: true });
      });
      t.plan();
      t.apply();
      t.happens('an object is edited, another one is deleted', (w) => {
        editObject(w, 'Deployment shop/web');
        deleteObject(w, 'ConfigMap net-system/net');
      });
      t.plan();
      t.apply();
      t.happens('a whole namespace is deleted', (w) => {
        for (const name of ['Namespace shop', 'ConfigMap shop/web', 'Deployment shop/web']) deleteObject(w, name);
      });
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'os-packages': [
    'Packages, modules and accounts come, drift, change and go',
    (t) => {
      const first = osLayer('base', {
        files: ['/etc/chrony.conf = x'],
        packages: [{ name: 'chrony', version: '4.5-1' }, { name: 'curl' }],
        modules: ['overlay', 'br_netfilter'],
        users: [{ name: 'ops', groups: ['sudo'], shell: '/bin/bash' }],
      });
      t.want('base with a pinned package, one of any version that is there, two modules and an account', bundleOf(first));
      t.plan();
      t.apply();
      t.happens('somebody upgrades the pinned package, unloads a module and takes the account away', (w) => {
        w.packages.set('chrony', { version: '4.6-1', held: false });
        w.modules.delete('br_netfilter');
        w.users.delete('ops');
      });
      t.plan();
      t.apply();
      t.want('base with a newer pinned package and nothing else', bundleOf(osLayer('base', { packages: [{ name: 'chrony', version: '4.6-1' }] })));
      t.plan();
      t.apply();
      t.want('nothing', undefined);
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'upgrade-os': [
    'The OS layer changes: files, settings and units come, change and go',
    (t) => {
      t.want('base', bundleOf(base(['/etc/motd = hello', '/etc/old.conf = x'])));
      t.happens('one of the files was there before', (w) =>
        w.files.set('/etc/old.conf', { digest: digestBytes('factory'), mode: '0600', owner: 'root', group: 'root' }),
      );
      t.apply();
      t.want(
        'base with other files, another setting and without its own unit',
        bundleOf(
          osLayer('base', {
            files: ['/etc/motd = good day', '/etc/new.conf = y'],
            sysctls: { 'net.ipv4.ip_forward': '1' },
            units: [{ name: 'ssh.service', enabled: true, active: false, dropIns: [] }],
          }),
        ),
      );
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  swap: [
    'A layer takes the place of another: the old one goes first',
    (t) => {
      const old = layer('nginx', { objects: [object('Deployment ingress/nginx'), object('Service ingress/nginx')] });
      t.want('web, nginx', bundleOf(web(), old));
      t.apply();
      t.want(
        'web, traefik instead of nginx',
        bundleOf(web(), layer('traefik', { replaces: 'nginx', objects: [object('Deployment ingress/traefik'), object('Service ingress/traefik')] })),
      );
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'add-and-remove': [
    'Layers are added and removed; what goes, goes last and in reverse',
    (t) => {
      t.want('net, disk, web', bundleOf(net, disk, web()));
      t.apply();
      t.want('net, web and cache, without disk', bundleOf(net, web(), layer('cache', { objects: [object('Deployment shop/cache')] })));
      t.plan();
      t.apply();
      t.want('net alone', bundleOf(net));
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  prune: [
    'An object leaves a layer that stays',
    (t) => {
      t.want('web with two more objects', bundleOf(web('v1', ['Service shop/web', 'ConfigMap shop/extra'])));
      t.apply();
      t.want('web without them', bundleOf(web('v2')));
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  priorities: [
    'Lower numbers first, equal numbers together, the next group when the one before is ready',
    (t) => {
      const at = (name: string, priority: number, kind: 'network' | 'addon' = 'addon') =>
        layer(name, { kind, priority, objects: [object(`Deployment ${name}/app`)] });
      t.want('four add-ons and a network', bundleOf(at('late', 10), at('second', 0), at('first', 0), at('early', -10), at('net', 99, 'network')));
      t.plan();
      t.apply();
      t.want('nothing but the network', bundleOf(at('net', 99, 'network')));
      t.plan();
    },
  ],
  hooks: [
    'Hooks of install, upgrade, rollback and delete',
    (t) => {
      t.want('db v1', bundleOf(jobs('v1')));
      t.plan();
      t.apply();
      t.want('db v2', bundleOf(jobs('v2')));
      t.plan();
      t.apply();
      t.want('db v1 again, after v2 failed', bundleOf(jobs('v1')), { rollback: true });
      t.plan();
      t.apply();
      t.happens('drift does not run hooks again', (w) => editObject(w, 'StatefulSet data/db'));
      t.plan();
      t.apply();
      t.want('nothing', bundleOf());
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'moves-between-layers': [
    'An object moves to another layer and is not pruned on the way',
    (t) => {
      t.want(
        'web and extras, where web has the shared map',
        bundleOf(
          layer('extras', { objects: [object('ConfigMap shop/own')] }),
          layer('web', { objects: [object('ConfigMap shop/shared'), object('Deployment shop/web')] }),
        ),
      );
      t.apply();
      t.want(
        'extras has the shared map now',
        bundleOf(
          layer('extras', { objects: [object('ConfigMap shop/own'), object('ConfigMap shop/shared')] }),
          layer('web', { objects: [object('Deployment shop/web')] }),
        ),
      );
      t.plan();
      t.apply();
      t.plan();
      t.want('extras is gone, and web has it back', bundleOf(layer('web', { objects: [object('ConfigMap shop/shared'), object('Deployment shop/web')] })));
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  kept: [
    'CRDs and objects with the policy keep stay when their layer goes; made-once CRDs are left alone',
    (t) => {
      const crd = (name: string, how: 'apply' | 'createOnly', body = 'v1') => object(`CustomResourceDefinition ${name} = ${body}`, { crd: how });
      t.happens('a CRD of somebody else is there already', (w) => addForeign(w, 'CustomResourceDefinition foreign = other'));
      t.want(
        'operator with three CRDs and a kept claim',
        bundleOf(
          layer('operator', {
            objects: [
              crd('ours', 'apply'),
              crd('once', 'createOnly'),
              crd('foreign', 'createOnly'),
              object('PersistentVolumeClaim data/disk', { keep: true }),
              object('Deployment ops/operator'),
            ],
          }),
        ),
      );
      t.plan();
      t.apply();
      t.plan();
      t.want(
        'operator with newer CRDs',
        bundleOf(
          layer('operator', {
            objects: [
              crd('ours', 'apply', 'v2'),
              crd('once', 'createOnly', 'v2'),
              crd('foreign', 'createOnly', 'v2'),
              object('PersistentVolumeClaim data/disk', { keep: true }),
              object('Deployment ops/operator'),
            ],
          }),
        ),
      );
      t.plan();
      t.apply();
      t.happens('the made-once CRD is edited, then deleted by hand', (w) => editObject(w, 'CustomResourceDefinition once'));
      t.plan();
      t.happens('it is deleted', (w) => deleteObject(w, 'CustomResourceDefinition once'));
      t.plan();
      t.apply();
      t.want('nothing', bundleOf());
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  adopted: [
    'What was there before us is adopted, and released at the end instead of deleted',
    (t) => {
      t.happens('somebody made a Deployment and a namespace by hand', (w) => {
        addForeign(w, 'Namespace shop');
        addForeign(w, 'Deployment shop/web = by hand');
      });
      t.want('web, with adopt', bundleOf({ ...web(), adopt: true }));
      t.plan();
      t.apply();
      t.plan();
      t.want('nothing', bundleOf());
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  unreachable: [
    'Kubernetes does not answer: the OS layer goes on, everything above waits',
    (t) => {
      t.want('base, k8s, web', bundleOf(base(), kubernetesLayer(), web()));
      t.happens('the API server is down', (w) => void (w.kubernetes = { state: 'unreachable', failure: unreachable }));
      t.plan();
      t.apply();
      t.plan();
      t.happens('it is back', (w) => void (w.kubernetes = { state: 'reachable', version: 'v1.34.2' }));
      t.plan();
      t.apply();
      t.happens('it goes again while the OS drifts, and web is taken out of the profile', (w) => {
        w.kubernetes = { state: 'unreachable', failure: unreachable };
        w.sysctls.set('vm.swappiness', '60');
      });
      t.want('base, k8s', bundleOf(base(), kubernetesLayer()));
      t.plan();
    },
  ],
  'version-range': [
    'The API server runs a version that the layer does not allow',
    (t) => {
      t.want('k8s >=1.35 <1.37, web', bundleOf(kubernetesLayer('>=1.35 <1.37'), web()));
      t.plan();
      t.happens("the cluster is upgraded, with a vendor's suffix", (w) => void (w.kubernetes = { state: 'reachable', version: 'v1.36.1-eks-3f4a' }));
      t.plan();
      t.happens('the cluster is upgraded too far', (w) => void (w.kubernetes = { state: 'reachable', version: 'v1.37.0+k3s1' }));
      t.plan();
    },
  ],
  worker: [
    'A host that is not the applier keeps to its own machine',
    (t) => {
      t.want('base, k8s, net, web, as worker', bundleOf(base(), kubernetesLayer(), net, web()), { applier: false });
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'applier-changes': [
    'The applier becomes a worker: it takes nothing away, the add-ons belong to the new applier',
    (t) => {
      t.want('base, k8s, net, web, as applier', bundleOf(base(), kubernetesLayer(), net, web()));
      t.apply();
      t.want('the same, as worker', bundleOf(base(), kubernetesLayer(), net, web()), { applier: false });
      t.plan();
      t.apply();
      t.plan();
      t.want('the same, as applier again', bundleOf(base(), kubernetesLayer(), net, web('v2')));
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'tear-down': [
    'The host leaves its cluster: everything goes in reverse, the machine is as it was',
    (t) => {
      t.want('base, k8s, net, disk, web', everything);
      t.happens('a file of ours was there before', (w) =>
        w.files.set('/etc/motd', { digest: digestBytes('factory'), mode: '0644', owner: 'root', group: 'root' }),
      );
      t.apply();
      t.want('no cluster', undefined);
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'shared-namespace': [
    'Two layers share a namespace; it goes with the last one',
    (t) => {
      const inShop = (name: string) => layer(name, { namespace: 'shop', objects: [object(`Deployment shop/${name}`)] });
      t.want('a, b', bundleOf(inShop('a'), inShop('b')));
      t.apply();
      t.want('b', bundleOf(inShop('b')));
      t.plan();
      t.apply();
      t.plan();
      t.want('nothing', bundleOf());
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  resumed: [
    'The power goes in the middle of an install, an upgrade and a removal',
    (t) => {
      const both = bundleOf(web('v1'), jobs('v1'));
      t.want('web, db', both);
      t.plan();
      t.apply(5);
      t.plan();
      t.apply();
      t.want('web v2, db v2', bundleOf(web('v2'), jobs('v2')));
      t.apply(3);
      t.plan();
      t.want('nothing, before that was finished', bundleOf());
      t.plan();
      t.apply(3);
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'tear-down-resumed': [
    'The power goes in the last moment of a tear-down: nobody asks Kubernetes any more, and it still ends',
    (t) => {
      t.want('web', bundleOf(web()));
      t.apply();
      t.want('no cluster', undefined);
      t.apply(4);
      t.happens('nothing of ours is left, so Kubernetes is not asked', (w) => void (w.kubernetes = { state: 'unknown' }));
      t.plan();
      t.apply();
      t.plan();
    },
  ],
  'wanted-again': [
    'A layer is wanted again while it is being taken away',
    (t) => {
      t.want('web', bundleOf(web()));
      t.apply();
      t.want('nothing', bundleOf());
      t.apply(2);
      t.want('web again', bundleOf(web()));
      t.plan();
      t.apply();
      t.plan();
    },
  ],
};
