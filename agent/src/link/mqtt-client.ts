/** Loaded only when the carrier is MQTT. A file of its own: in a bundle, `import('mqtt')` would give nothing but the default export of a CommonJS package. */
export { connect } from 'mqtt';
