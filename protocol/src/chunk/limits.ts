/**
 * Sizes of chunks. Both ends must agree on them, or they cut the same bytes at other places. A changed place costs about one and a half chunks, and each chunk
 * 36 bytes of list: small chunks are better for scattered changes, large ones for blobs of many GiB. At 32 KiB the list is a thousandth of the blob.
 */
export const chunkBytesMin = 8 * 1024;
export const chunkBytesAverage = 32 * 1024;
export const chunkBytesMax = 128 * 1024;

/** Smaller blobs are fetched whole, or as a patch. */
export const chunkedBytesMin = 16 * 1024 * 1024;
/** Larger ones have no list: it would have more than half a million lines. */
export const chunkedBytesMax = 16 * 1024 * 1024 * 1024;

/** Only the last chunk may be smaller than the least one. */
export const chunkCountMax = (size: number): number => Math.ceil(size / chunkBytesMin);

/** A transfer goes on after this many cuts in a row that brought nothing new. */
export const chunkCutsMax = 5;
