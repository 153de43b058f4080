import { expect, test } from 'vitest';
import { recordedIo } from '../testing/io.js';
import { COMMANDS } from './commands.js';
import { run } from './program.js';

async function tautnet(...argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo();
  const code = await run(argv, COMMANDS, io);
  return { code, stdout: stdout(), stderr: stderr() };
}

// Section 5.4 of the VNN-LIB standard: pairs, lists and booleans, one value a line.
test.each([
  ['--vnnlib-versions', /^1\.0\n2\.0\n$/],
  ['--onnx-opset-versions', /^\d+\n\d+\n$/],
  ['--onnx-element-types', /^real\n$/],
  ['--onnx-operators', /^(?:[A-Z]\w*\n)+$/],
  ['--hidden-node-theories', /^NH\nH\n$/],
  ['--multiple-input-output-theories', /^SIO\nMIO\n$/],
  ['--multiple-network-theories', /^SNET\nMENET\nMINET\nMNET\n$/],
  ['--multiple-node-comparison-theories', /^SNC\nMNC\n$/],
  ['--arithmetic-complexity-theories', /^BND\nOUTC\nLIN\n$/],
  ['--optimised-disjunctive-reasoning', /^false\n$/],
  ['--serialise-assignments', /^true\n$/],
  ['--unsat-proofs', /^false\n$/],
])('supports %s', async (capability, values) => {
  expect(await tautnet('supports', capability)).toEqual({
    code: 0,
    stdout: expect.stringMatching(values),
    stderr: '',
  });
});

test('supports lists all capabilities without one, and as JSON', async () => {
  const { stdout } = await tautnet('supports');
  expect(stdout).toMatch(/^vnnlib-versions +1\.0 2\.0$/m);
  expect(JSON.parse((await tautnet('supports', '--json')).stdout)).toMatchObject({
    'vnnlib-versions': ['1.0', '2.0'],
    'onnx-operators': expect.arrayContaining(['Conv', 'Relu']),
  });
});

test.each([
  [['--flying'], "unknown option '--flying'"],
  [
    ['--unsat-proofs', '--onnx-operators'],
    'expected one capability, got --onnx-operators and --unsat-proofs',
  ],
])('supports refuses %j', async (flags, message) => {
  const { code, stderr } = await tautnet('supports', ...flags);
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});

// Section 5.2: the solver's name and version, on stdout.
test('--name and --version print the name and the version alone', async () => {
  expect(await tautnet('--name')).toEqual({ code: 0, stdout: 'tautnet\n', stderr: '' });
  expect(await tautnet('--version')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});
