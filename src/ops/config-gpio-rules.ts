import type { Rule, RuleFault } from './config-rule.ts';

/** What the settings of the alert line must agree on. */
export const gpioFaults: Rule = ({ gpio }) => {
  const faults: RuleFault[] = [];
  const { backend, pin, led, ackPin } = gpio;
  if (backend === 'led' && led === '') {
    faults.push({
      path: ['gpio', 'backend'],
      others: [['gpio', 'led']],
      message: 'gpio.backend is led, and gpio.led names none',
      mend: 'put the name of one below /sys/class/leds under "gpio:" as "led:"',
    });
  }
  if ((backend === 'onoff' || backend === 'gpioset') && pin === undefined) {
    faults.push({
      path: ['gpio', 'backend'],
      others: [['gpio', 'pin']],
      message: `gpio.backend is ${backend}, and gpio.pin names no line`,
      mend: 'put the number of the line under "gpio:" as "pin:"',
    });
  }
  if (ackPin !== undefined && ackPin === pin && backend !== 'led' && backend !== 'logged') {
    faults.push({
      path: ['gpio', 'ackPin'],
      others: [['gpio', 'pin']],
      message: `gpio.ackPin and gpio.pin are both ${pin}: a line can't be driven and listened to`,
      mend: 'wire the button to a line of its own',
    });
  }
  return faults;
};
