/** The seam to the hardware; `node-port.ts` is the real one. */
export interface SerialPort {
  /**
   * What has come, once there is something. Rejects when the port is gone or was closed. To be
   * called again only when the last one has ended. The bytes stand until then.
   */
  read(): Promise<Uint8Array>;
  /** Resolves once the driver has all of it. Rejects when the port is gone or was closed. */
  write(bytes: Uint8Array): Promise<void>;
  /** What was plugged in is there still, under the same name. */
  isThere(): Promise<boolean>;
  /** Ends reads and writes. Never rejects. */
  close(): Promise<void>;
}

export interface PortSettings {
  readonly path: string;
  readonly baud: number;
  readonly parity: 'none' | 'even' | 'odd';
  readonly stopBits: 1 | 2;
  /** Hardware flow control. */
  readonly rtscts: boolean;
}
