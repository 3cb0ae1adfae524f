/** Small preferences that outlive the tab. Storage may be forbidden; then they last as long as the page. */
export const readStored = (key: string): string | undefined => {
  try {
    return localStorage.getItem(`groundplane.${key}`) ?? undefined;
  } catch {
    return undefined;
  }
};

export const writeStored = (key: string, value: string | undefined): void => {
  try {
    if (value === undefined) localStorage.removeItem(`groundplane.${key}`);
    else localStorage.setItem(`groundplane.${key}`, value);
  } catch {
    // Nothing depends on it.
  }
};
