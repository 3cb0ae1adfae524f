import { insideMark } from '@groundplane/protocol/inside/manifest';
import { startScript } from './start-script.ts';

/** Of the manifest that this hub gives out now. */
export const currentMark = insideMark(startScript);
