import { useLocation, useSearch } from 'wouter';
import { navigate } from 'wouter/use-browser-location';

/** One value in the query string. Setting it replaces the address, so that typing in a filter does not fill the history. */
export const useUrlState = (key: string, fallback = ''): [string, (value: string) => void] => {
  const value = new URLSearchParams(useSearch()).get(key) ?? fallback;
  const set = (next: string): void => {
    const query = new URLSearchParams(location.search);
    if (next === fallback) query.delete(key);
    else query.set(key, next);
    navigate(`${location.pathname}${query.size === 0 ? '' : `?${query.toString()}`}`, { replace: true });
  };
  return [value, set];
};

const decode = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/**
 * The parts of the address after the host: `['p', project, 'clusters', name]`. The router's own parameters leave reserved characters encoded, which
 * a version like `1.0.0+build` has.
 */
export const usePathParts = (): string[] => {
  useLocation();
  return location.pathname.split('/').slice(1).map(decode);
};

export { navigate };
