import { useSearch } from 'wouter';
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

export { navigate };
