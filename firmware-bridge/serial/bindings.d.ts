/**
 * Optional, and absent where it was left out: the types that it ships would be missing there too.
 * What is used of it is in `node-port.ts`.
 */
declare module '@serialport/bindings-cpp' {
  const bindings: { autoDetect(): unknown };
  export default bindings;
}
