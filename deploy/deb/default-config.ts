import { defaultConfigYaml } from '../../src/ops/config-docs.ts';

/**
 * /etc/headgate/headgate.yaml as the package brings it: every setting, and all of them comments but
 * the data folder, by which `headgate status` finds the daemon. Pure. A comment has one space
 * behind its `#`, a setting none of its own: take the `#` away, and that of what it stands under.
 */
export function packagedConfig(): string {
  const [, ...lines] = defaultConfigYaml().split('\n');
  const head = [
    '# Settings of Headgate: man headgate.yaml. After a change: headgate check, then',
    '# systemctl restart headgate. What is commented out is at its default.',
  ];
  const isComment = (line: string) => line === '' || /^ *# /.test(line);
  const own = lines.map((line) => {
    if (line === 'data:') return line;
    if (/^ {2}dir: /.test(line)) return '  dir: /var/lib/headgate';
    return isComment(line) ? line : `#${line}`;
  });
  return [...head, ...own].join('\n');
}
