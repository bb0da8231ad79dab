/**
 * onoff is optional, and absent where its native part could not be built: the types that it ships
 * would be missing there too. What is used of it is in `onoff-line.ts`.
 */
declare module 'onoff' {
  export const Gpio: unknown;
}
