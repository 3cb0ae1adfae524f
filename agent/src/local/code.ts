import { renderSVG } from 'uqr';

/** A QR code of middle redundancy, dark on white in every theme, with a white border inside of the drawing: that is what phones read. */
export const drawCode = (text: string): string => renderSVG(text, { ecc: 'M', border: 2, pixelSize: 6 });
