/** Loaded by commands that read or write YAML. A file of its own: in a bundle, `import('yaml')` would give nothing but the default export of a CommonJS package. */
export { parse, stringify } from 'yaml';
