export const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
export const row = (...cells: string[]): string => `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;

const styles =
  'body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}code,pre{font-family:ui-monospace,monospace}pre{overflow:auto;max-height:70vh}figure{margin:1rem 0}figure svg{width:min(16rem,100%);height:auto}figcaption{overflow-wrap:anywhere}nav a{margin-right:1rem}label{display:block;margin:.5rem 0}input,select,button{font:inherit}.note{border:1px solid;padding:.5rem}';

export interface PageParts {
  title: string;
  /** HTML; whoever makes it has escaped what came from elsewhere. */
  body: string;
  nonce: string;
  /** Loads itself anew every so many seconds. */
  refreshSeconds?: number;
  /** Pages that this caller can open; empty for the read-only page alone. */
  nav: readonly { href: string; text: string }[];
}

export const htmlPage = ({ title, body, nonce, refreshSeconds, nav }: PageParts): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8">${refreshSeconds === undefined ? '' : `<meta http-equiv="refresh" content="${refreshSeconds}">`}<meta name="viewport" content="width=device-width"><title>${escapeHtml(title)} – Groundplane</title><style nonce="${nonce}">${styles}</style>
${nav.length === 0 ? '' : `<nav aria-label="Pages">${nav.map(({ href, text }) => `<a href="${href}">${escapeHtml(text)}</a>`).join('')}</nav>`}
${body}</html>`;

/** No script, no foreign thing, no frame; forms go back here only. */
export const pageHeaders = (nonce: string): Record<string, string> => ({
  'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
});
