import type { ContentSource } from '@groundplane/agent/port/content';
import { fail, ok } from '@groundplane/protocol/failure';
import type { ContentStore } from '../port/content.ts';

/** Content out of the hub's own store. Which digests an agent may ask for is in its signed bundle. */
export const ownContent = (content: ContentStore): ContentSource => ({
  fetch: async (digest) => {
    const bytes = await content.read(digest);
    return bytes === undefined ? fail('retry', 'content-missing', `content ${digest}`, 'is not in the content store') : ok(bytes.toString('utf8'));
  },
});
