import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

/** A machine in QEMU: its disks, the port it forwards, and the agent that runs commands in it. */

export interface GuestOptions {
  /** Of the image: vmlinuz and initrd. */
  readonly image: string;
  readonly root: {
    readonly file: string;
    readonly format: 'raw' | 'qcow2';
    /** Whether what it writes there stays. */
    readonly isKept: boolean;
  };
  /** Folder of this run, for sockets and the console. */
  readonly work: string;
  readonly name: string;
  /** Socket of an NBD server: the disk with the readings. */
  readonly dataSocket?: string;
  /** A tar, as the machine's third disk. */
  readonly payload?: string;
  /** Outside to inside. */
  readonly forward: ReadonlyMap<number, number>;
  /** Further words for the kernel. */
  readonly kernelWords?: string;
}

export interface Said {
  readonly code: number;
  readonly text: string;
}

const BOOT_WITHIN_MS = 600_000;
const ANSWER_WITHIN_MS = 300_000;

/** Little said on the console, and nothing that costs an emulated processor time. */
const KERNEL_WORDS = 'console=ttyS0 quiet panic=-1 audit=0 mitigations=off systemd.show_status=no';

/** A device file is not enough: without the processor's help KVM runs no such machine. */
function accelerator(): string[] {
  const hasHelp = /\b(vmx|svm)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  return ['-accel', hasHelp && existsSync('/dev/kvm') ? 'kvm' : 'tcg,thread=multi'];
}

function disk(id: string, serial: string): string[] {
  return ['-device', `virtio-blk-pci,drive=${id},serial=${serial}`];
}

function qemuArguments(options: GuestOptions, agent: string): string[] {
  const { image, root, work, name, dataSocket, payload, forward, kernelWords = '' } = options;
  const forwards = [...forward].map(
    ([outer, inner]) => `,hostfwd=tcp:127.0.0.1:${outer}-:${inner}`,
  );
  const rootDrive = `if=none,id=root,format=${root.format},cache=unsafe,file=${root.file}`;
  const args = [
    ...['-M', 'q35', ...accelerator(), '-smp', '2', '-m', '640'],
    ...['-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-kernel', join(image, 'vmlinuz'), '-initrd', join(image, 'initrd')],
    ...['-append', `${KERNEL_WORDS} ${kernelWords}`],
    ...['-serial', `file:${join(work, `${name}.console`)}`],
    ...['-drive', `${rootDrive}${root.isKept ? '' : ',snapshot=on'}`, ...disk('root', 'root')],
    ...['-netdev', `user,id=net,restrict=on${forwards.join('')}`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...['-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,id=agent,path=${agent}`],
    ...['-device', 'virtserialport,chardev=agent,name=lab.agent'],
  ];
  if (dataSocket !== undefined) {
    const node = `driver=nbd,node-name=data,server.type=unix,server.path=${dataSocket}`;
    args.push('-blockdev', `${node},cache.direct=off,cache.no-flush=off`);
    args.push(...disk('data,write-cache=on', 'data'));
  }
  if (payload !== undefined) {
    args.push('-drive', `if=none,id=payload,format=raw,readonly=on,file=${payload}`);
    args.push(...disk('payload', 'payload'));
  }
  return args;
}

export class Guest {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #server: Server;
  readonly #console: string;
  #socket: Socket | undefined;
  #lines: string[] = [];
  #rest = '';
  #wake: () => void = () => {};
  #hasEnded = false;
  #stderr = '';

  private constructor(child: ChildProcess, server: Server, console: string) {
    this.#child = child;
    this.#server = server;
    this.#console = console;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#ended = new Promise((resolve) => {
      child.once('close', () => {
        this.#hasEnded = true;
        this.#wake();
        resolve();
      });
      child.once('error', (error) => {
        this.#stderr += error.message;
      });
    });
    server.on('connection', (socket) => {
      this.#socket = socket;
      socket.setEncoding('utf8').on('data', (text: string) => this.#read(text));
      socket.on('error', () => socket.destroy());
    });
  }

  /** Resolves when the agent answers: not all of the machine's services run by then. */
  static async boot(options: GuestOptions): Promise<Guest> {
    const agent = join(options.work, `${options.name}.agent`);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(agent, resolve));
    const child = spawn('qemu-system-x86_64', qemuArguments(options, agent), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    running.add(child);
    child.once('close', () => running.delete(child));
    const guest = new Guest(child, server, join(options.work, `${options.name}.console`));
    const first = await guest.#line(BOOT_WITHIN_MS, 'the agent');
    if (first !== 'ready -') throw new Error(`the agent said ${first}`);
    return guest;
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    this.#lines.push(...lines);
    this.#wake();
  }

  async #line(withinMs: number, what: string): Promise<string> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, withinMs);
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined || this.#hasEnded || isLate) {
        clearTimeout(timer);
        if (line !== undefined) return line;
        throw new Error(`no word of ${what}: ${this.#stderr}\n${this.console().slice(-2_000)}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** One command at a time, in a shell, as root. */
  async run(command: string): Promise<Said> {
    this.#socket?.write(`${Buffer.from(command).toString('base64')}\n`);
    const line = await this.#line(ANSWER_WITHIN_MS, command);
    const [code = '', text = ''] = line.split(' ');
    return { code: Number(code), text: Buffer.from(text, 'base64').toString() };
  }

  /** Throws if the command fails. */
  async must(command: string): Promise<string> {
    const { code, text } = await this.run(command);
    if (code !== 0) throw new Error(`in the machine, ${command}: exit code ${code}\n${text}`);
    return text;
  }

  console(): string {
    return existsSync(this.#console) ? readFileSync(this.#console, 'utf8') : '';
  }

  /** Its power is gone from one moment to the next. */
  async cutPower(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
    this.#close();
  }

  /** Resolves when it has shut down by itself. */
  async shutDown(): Promise<void> {
    await this.run('systemctl --no-block poweroff');
    await this.#ended;
    this.#close();
  }

  #close(): void {
    this.#socket?.destroy();
    this.#server.close();
  }
}

const running = new Set<ChildProcess>();

/** For the end of a lab that failed. */
export function cutAll(): void {
  for (const child of running) child.kill('SIGKILL');
}
