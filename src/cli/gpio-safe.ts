import { openRealLine } from '../../firmware-bridge/gpio/open-line.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION } from './command.ts';
import { isConfigured, partsOf, refuseIfDriven } from './gpio-line.ts';
import { readSettings } from './settings.ts';

export const gpioSafe: Command = {
  name: 'gpio safe',
  usage: 'headgate gpio safe [--config FILE] [--data DIR]',
  summary: 'drives the alert line inactive: what a service does once its daemon has been killed',
  options: { ...CONFIG_OPTION, ...DATA_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const { config, data } = await readSettings(values, io.env);
    if (!isConfigured(config.gpio)) {
      io.print('no line is configured');
      return 0;
    }
    await refuseIfDriven(data.socket);
    const line = await openRealLine(config.gpio, partsOf(io));
    await line.close();
    io.print(`${line.name} is inactive`);
    return 0;
  },
};
