/** Begins the title of the scenario whose cuts `npm run conformance` makes and counts itself. */
export const cutsTitle = 'killed at';
