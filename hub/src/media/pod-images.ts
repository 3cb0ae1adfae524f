/** Reference of each container image that an object names, wherever its pod template lies. */
export type ImagesOf = (object: unknown) => string[];

const containerLists = new Set(['containers', 'initContainers', 'ephemeralContainers']);
const depthMax = 40;

/** Finds containers by the shape that Kubernetes gives them: lists of these names whose items have a name and an image. */
export const podImages: ImagesOf = (object) => {
  const found = new Set<string>();
  const walk = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || depth > depthMax) return;
    if (Array.isArray(value)) {
      for (const item of value) walk(item, depth + 1);
      return;
    }
    for (const [key, inner] of Object.entries(value)) {
      if (containerLists.has(key) && Array.isArray(inner))
        for (const container of inner as { image?: unknown }[])
          if (typeof container?.image === 'string' && container.image !== '') found.add(container.image.trim());
      walk(inner, depth + 1);
    }
  };
  walk(object, 0);
  return [...found].toSorted();
};
