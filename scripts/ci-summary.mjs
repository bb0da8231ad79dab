// Sums up test lanes from vitest's JSON reports and ends with the line `N passed, N failed`.
//   node scripts/ci-summary.mjs [--failed-step NAME]… LANE[,LANE…]=REPORT[:EXIT-CODE]…
// A lane is known by the names of its files. A test that was skipped, a lane without tests, a
// report that is missing and a step that failed each count as one failure: what did not run did not
// pass.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * `test/e2e/x.test.ts` is of lane e2e, `x.debian.test.ts` of lane debian; what lies in test/ itself
 * belongs to unit.
 */
function laneOf(path) {
  if (path.endsWith('.debian.test.ts')) return 'debian';
  const [, lane = '', ...rest] = path.split('/');
  return rest.length === 0 ? 'unit' : lane;
}

/** What one report says, lane by lane. */
function readReport(report, root) {
  const lanes = new Map();
  for (const file of report.testResults ?? []) {
    const path = relative(root, file.name).replaceAll('\\', '/');
    const lane = laneOf(path);
    const sum = lanes.get(lane) ?? { passed: 0, failures: [] };
    lanes.set(lane, sum);
    for (const { status, fullName } of file.assertionResults) {
      if (status === 'passed') sum.passed += 1;
      else sum.failures.push(`${path}: ${fullName}: ${status}`);
    }
    const isBroken = file.status !== 'passed' && !file.assertionResults.some(isFailure);
    if (isBroken) sum.failures.push(`${path}: ${file.message || 'the file could not be run'}`);
  }
  return lanes;
}

function isFailure({ status }) {
  return status !== 'passed';
}

/** Passed tests and all that failed, of the lanes that should have run. */
function sumUp(wanted, lanes, exitCode) {
  const sum = { passed: 0, failures: [] };
  for (const lane of wanted) {
    const { passed, failures } = lanes.get(lane) ?? { passed: 0, failures: [] };
    sum.passed += passed;
    sum.failures.push(...failures);
    if (passed + failures.length === 0) sum.failures.push(`lane ${lane}: no test ran`);
  }
  // An error outside of any test, such as a promise that nobody waited for.
  if (exitCode !== 0 && sum.failures.length === 0) {
    sum.failures.push(`lanes ${wanted.join(', ')}: ended with code ${exitCode}`);
  }
  return sum;
}

function readLanes(argument, root) {
  const [, names = '', path = '', code = '0'] = /^([^=]+)=(.+?)(?::(\d+))?$/.exec(argument) ?? [];
  const wanted = names.split(',');
  if (!existsSync(path)) return { passed: 0, failures: [`lanes ${names}: no report at ${path}`] };
  try {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    return sumUp(wanted, readReport(report, root), Number(code));
  } catch (error) {
    return { passed: 0, failures: [`lanes ${names}: ${error.message}`] };
  }
}

function main() {
  const { values, positionals } = parseArgs({
    options: { 'failed-step': { type: 'string', multiple: true, default: [] } },
    allowPositionals: true,
  });
  let passed = 0;
  const failures = values['failed-step'].map((name) => `step ${name} failed`);
  if (positionals.length === 0) failures.push('no lane was given');
  for (const argument of positionals) {
    const sum = readLanes(argument, process.cwd());
    passed += sum.passed;
    failures.push(...sum.failures);
  }
  for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
  process.stdout.write(`${passed} passed, ${failures.length} failed\n`);
  process.exitCode = failures.length === 0 && passed > 0 ? 0 : 1;
}

main();
