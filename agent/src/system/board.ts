/** Loaded only when the serial number or vitals are asked for. A file of its own for the same reason as `link/mqtt-client.ts`. */
export { cpuTemperature, currentLoad, mem, system } from 'systeminformation';
