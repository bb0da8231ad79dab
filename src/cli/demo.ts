import type { Command } from './command.ts';
export const demo: Command = {
  name: 'demo',
  usage: 'headgate demo',
  summary: '',
  options: {},
  positionals: [0, 0],
  async run() {
    return 0;
  },
};
