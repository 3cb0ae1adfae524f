/** This response's nonce, from the script element that loaded the page (browsers hide it from selectors and from other origins). */
export const pageNonce = (): string => document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce ?? '';
