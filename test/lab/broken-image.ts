/**
 * Images with this in their name never start, in the real lab as in the simulated one: pods wait with ImagePullBackOff, pods of a Job fail.
 * The pattern is read by JavaScript and by jq alike.
 */
export const brokenImagePattern = 'broken';

export const isBrokenImage = (image: string): boolean => image.includes(brokenImagePattern);
