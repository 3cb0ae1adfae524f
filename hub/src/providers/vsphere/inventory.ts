import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { vsphereLimits } from './limits.ts';
import type { Session } from './session.ts';
import { childOf, childrenOf, refOf, textOf, type Node, type Ref, type SoapFields } from './soap.ts';

/** An object with the properties that were asked for; what it does not have is not there. */
export interface Found {
  ref: Ref;
  properties: ReadonlyMap<string, Node>;
}

export const propertyText = (found: Found, name: string): string | undefined => found.properties.get(name)?.text;

const step = (type: string, path: string, then: readonly SoapFields[] = [], name?: string): SoapFields => ({
  $type: 'TraversalSpec',
  ...(name === undefined ? {} : { name }),
  type,
  path,
  skip: false,
  selectSet: then,
});
const again = (name: string): SoapFields => ({ $type: 'SelectionSpec', name });

/** Ways through the inventory, as the property collector goes them: from an object down, through folders in folders. */
export const ways = {
  itself: [],
  recentTasks: [step('TaskManager', 'recentTask')],
  children: [step('Folder', 'childEntity')],
  datastores: [step('Datacenter', 'datastore')],
  networks: [step('Datacenter', 'network')],
  machines: [step('Datacenter', 'vmFolder', [again('folders')]), step('Folder', 'childEntity', [again('folders')], 'folders')],
  computes: [
    step('Datacenter', 'hostFolder', [again('folders')]),
    step('Folder', 'childEntity', [again('folders'), again('pool'), again('hosts')], 'folders'),
    step('ComputeResource', 'resourcePool', [again('pools')], 'pool'),
    step('ComputeResource', 'host', [], 'hosts'),
    step('ResourcePool', 'resourcePool', [again('pools')], 'pools'),
  ],
  datacenters: [step('Folder', 'childEntity', [again('folders')], 'folders')],
  everything: [
    step('Folder', 'childEntity', [again('folders'), again('datacenter')], 'folders'),
    step('Datacenter', 'vmFolder', [again('folders')], 'datacenter'),
  ],
} as const satisfies Record<string, readonly SoapFields[]>;

/** vSphere writes these in names as their codes. */
export const inventoryName = (name: string): string => name.replaceAll('%', '%25').replaceAll('/', '%2f').replaceAll('\\', '%5c');
export const plainName = (name: string): string => name.replaceAll(/%(25|2f|5c)/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)));

const objectsOf = (node: Node | undefined): Found[] =>
  childrenOf(node, 'objects').flatMap((item) => {
    const ref = refOf(childOf(item, 'obj'));
    if (ref === undefined) return [];
    const properties = childrenOf(item, 'propSet').flatMap((property): [string, Node][] => {
      const [name, value] = [textOf(property, 'name'), childOf(property, 'val')];
      return name === undefined || value === undefined ? [] : [[name, value]];
    });
    return [{ ref, properties: new Map(properties) }];
  });

/** Reads of one vCenter. */
export const inventoryOf = (session: Session) => {
  /** Everything of the given types along a way, in pages. `types`: properties for each. */
  const collect = async (from: Ref, way: readonly SoapFields[], types: Readonly<Record<string, readonly string[]>>): Promise<Result<Found[]>> => {
    const login = await session.open();
    if (!login.ok) return login;
    const { properties } = login.value.content;
    const specSet = {
      propSet: Object.entries(types).map(([type, pathSet]) => ({ type, all: false, pathSet })),
      objectSet: { obj: { ref: from }, skip: way.length > 0, selectSet: way },
    };
    let answer = await session.call('RetrievePropertiesEx', properties, { specSet, options: { maxObjects: vsphereLimits.objectsPerPage } });
    const found: Found[] = [];
    for (;;) {
      if (!answer.ok) return answer;
      const [page] = answer.value;
      found.push(...objectsOf(page));
      if (found.length > vsphereLimits.objects)
        return fail('fatal', 'answer-too-large', `vSphere ${from.id}`, `there are more than ${vsphereLimits.objects} objects`);
      const token = textOf(page, 'token');
      if (token === undefined || token === '') return ok(found);
      answer = await session.call('ContinueRetrievePropertiesEx', properties, { token });
    }
  };
  /** By its path, like `DC0/vm/templates/noble`; undefined when there is nothing. */
  const at = async (path: string): Promise<Result<Ref | undefined>> => {
    const login = await session.open();
    if (!login.ok) return login;
    const answer = await session.call('FindByInventoryPath', login.value.content.search, { inventoryPath: path });
    return answer.ok ? ok(refOf(answer.value[0])) : answer;
  };
  const child = async (folder: Ref, name: string): Promise<Result<Ref | undefined>> => {
    const login = await session.open();
    if (!login.ok) return login;
    const answer = await session.call('FindChild', login.value.content.search, { entity: { ref: folder }, name: inventoryName(name) });
    return answer.ok ? ok(refOf(answer.value[0])) : answer;
  };
  const one = async (ref: Ref, paths: readonly string[]): Promise<Result<Found>> => {
    const found = await collect(ref, ways.itself, { [ref.type]: paths });
    if (!found.ok) return found;
    return ok(found.value[0] ?? { ref, properties: new Map() });
  };
  /** Whether a clone is under way, of whatever: vCenter keeps its last 200 tasks, those that run among them. */
  const isCloning = async (): Promise<Result<boolean>> => {
    const login = await session.open();
    if (!login.ok) return login;
    const { tasks } = login.value.content;
    if (tasks === undefined) return ok(false);
    const found = await collect(tasks, ways.recentTasks, { Task: ['info.state', 'info.descriptionId'] });
    if (!found.ok) return found;
    const isClone = (task: Found): boolean =>
      /clone/i.test(propertyText(task, 'info.descriptionId') ?? '') && /^(queued|running)$/.test(propertyText(task, 'info.state') ?? '');
    return ok(found.value.some(isClone));
  };
  return { collect, at, child, one, isCloning };
};
export type Inventory = ReturnType<typeof inventoryOf>;

/** The one of these with this name. Failures: `choice-missing`, `choice-ambiguous` (blocked). */
export const pickNamed = (found: readonly Found[], name: string, what: string): Result<Found> => {
  const fitting = found.filter((item) => plainName(propertyText(item, 'name') ?? '') === name);
  const [first, second] = fitting;
  if (first === undefined) {
    const names = [...new Set(found.map((item) => plainName(propertyText(item, 'name') ?? '')))].toSorted();
    return fail('blocked', 'choice-missing', `vSphere ${what} ${name}`, `there is none; there are: ${names.slice(0, 20).join(', ') || 'none'}`);
  }
  if (second !== undefined)
    return fail('blocked', 'choice-ambiguous', `vSphere ${what} ${name}`, `${fitting.length} have this name; give the path in the inventory`);
  return ok(first);
};
