/**
 * Until when the Kubernetes project makes patches of a minor version. 1.31 and older: the day on which it ended (`data/releases/eol.yaml` of kubernetes/website). Newer ones:
 * the day that the project's release pages gave in April 2026 (`data/releases/schedule.yaml`); 1.36 and 1.37 in September 2026. A tenant replaces it with the rest of the catalogue.
 */
export const upstreamEnds: Readonly<Record<string, string>> = {
  '1.25': '2023-10-28',
  '1.26': '2024-02-28',
  '1.27': '2024-07-16',
  '1.28': '2024-10-22',
  '1.29': '2025-02-28',
  '1.30': '2025-07-15',
  '1.31': '2025-11-11',
  '1.32': '2026-02-28',
  '1.33': '2026-06-28',
  '1.34': '2026-10-27',
  '1.35': '2027-02-28',
  '1.36': '2027-06-28',
  '1.37': '2027-10-28',
};
