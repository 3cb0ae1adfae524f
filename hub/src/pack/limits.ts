import { limits } from '@groundplane/protocol/limits';
import type { ArchiveLimits } from '../archive/read.ts';

/** A pack unpacked, with its charts as the archives that they are. Real ones have up to 20 MiB and, with unpacked charts, a few hundred files. */
export const packArchiveLimits: ArchiveLimits = { bytesMax: limits.contentBlobBytes, entriesMax: 20_000, fileBytesMax: limits.contentBlobBytes / 2 };
/** Of a folder that is packed. */
export const packFolderFiles = 5_000;
export const packFolderDepth = 32;
/** Of a chart in it: only Chart.yaml and values.yaml are kept. */
export const chartFactsLimits: ArchiveLimits = { bytesMax: limits.contentBlobBytes, entriesMax: 20_000, fileBytesMax: limits.yamlBytes };
