import type { Digest } from '@groundplane/protocol/digest';
import type { Result } from '@groundplane/protocol/failure';

/** What a repository of the hub's own registry holds, and may be told. */
export interface HeldItem {
  digest: Digest;
  size: number;
  /** Manifests have one. */
  mediaType?: string;
  /** Of a manifest: digests of what it needs. */
  needs?: string[];
}

export interface Repository {
  name: string;
  held(digest: string): Promise<HeldItem | undefined>;
  tagged(tag: string): Promise<Digest | undefined>;
  /** Tags after one, in order; undefined when there is no such repository. */
  tags(after: string | undefined, limit: number): Promise<string[] | undefined>;
  /** Notes what came; with a tag, that it names the item now. */
  hold(item: HeldItem, tag?: string): Promise<Result<void>>;
  /** Takes a tag or a whole item away; answers whether it was there. */
  drop(tagOrDigest: string): Promise<Result<boolean>>;
}

export type Entrance = 'unauthenticated' | 'unknown' | 'denied' | Repository;

/** The door behind which repositories are: knows who calls. What the registry's HTTP side needs of the hub, and nothing more. */
export interface Catalogue {
  /** Whether these credentials name anybody at all. */
  isKnown(authorization: string | undefined): Promise<boolean>;
  enter(authorization: string | undefined, repository: string, action: 'pull' | 'push'): Promise<Entrance>;
}
