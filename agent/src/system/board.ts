/** Loaded only when the serial number is asked for. A file of its own for the same reason as `link/mqtt-client.ts`. */
export { system } from 'systeminformation';
