/**
 * `npm run bench:vnncomp -- DIR [--timeout S] [--only REGEX] [--threads N] [--sound] [--json] [--junit
 * FILE] [--queue URL]`: instances of the verification competition, one after another, as `tautnet verify`
 * decides them.
 *
 * DIR/instances.csv has the columns benchmark, onnx, vnnlib, timeout_s and expected under a header, or, as
 * the competition's own files do, onnx, vnnlib and timeout without one; paths are relative to DIR. Models
 * of a query's networks are a list, [('f', 'f.onnx'), ('g', 'g.onnx')], as in the competition. The limit of
 * an instance is --timeout if it is given, else its own. It counts reading the files and starting workers,
 * and each instance has workers of its own, so that nothing is left of it.
 *
 * With --queue instances are decided by workers, `tautnet worker`, which share DIR and have threads of their
 * own.
 *
 * An instance is solved if its verdict is unsat or sat and not wrong: the opposite of what is expected.
 * `timeout` counts those that reached their limit; an instance that fails is an error and not solved. In the
 * JUnit report a wrong verdict and an error are failures, timeout and unknown are skipped.
 */

import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeJunit } from '../dist/cli/junit.js';
import { queueAddress } from '../dist/cluster/broker/address.js';
import { instanceCarrier } from '../dist/cluster/broker/instance-job.js';
import { decideInstance } from '../dist/cluster/instance.js';
import { prefixOf, spread } from '../dist/cluster/spread.js';
import { junitCases } from './vnncomp-junit.mjs';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    timeout: { type: 'string' },
    only: { type: 'string' },
    threads: { type: 'string' },
    sound: { type: 'boolean' },
    json: { type: 'boolean' },
    junit: { type: 'string' },
    queue: { type: 'string' },
  },
});

function refuse(message) {
  console.error(`bench:vnncomp: ${message}`);
  process.exit(2);
}

function numberOf(name, text, holds, expected) {
  if (text === undefined) return undefined;
  const value = Number(text);
  return text.trim() !== '' && holds(value)
    ? value
    : refuse(`--${name}: expected ${expected}, got "${text}"`);
}

/** Cells of a row; commas in a list of models are its own. */
const cellsOf = (line) => line.split(/,(?![^[]*\])/).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));

/** The models of a cell, with the names of their networks where it says them. */
function modelsOf(cell) {
  const named = [...cell.matchAll(/\(\s*['"](\w+)['"]\s*,\s*['"]([^'"]+)['"]\s*\)/g)];
  return named.length === 0 ? [{ path: cell }] : named.map(([, name, path]) => ({ name, path }));
}

/** Rows of an instances file, with a header or without. */
function readInstances(folder) {
  const path = join(folder, 'instances.csv');
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    refuse(`expected a folder with instances.csv, cannot read ${path} (${error.code}); check the path`);
  }
  const rows = text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map(cellsOf);
  const headed = rows[0]?.includes('onnx');
  const columns = headed ? rows.shift() : ['onnx', 'vnnlib', 'timeout_s'];
  return rows.map((cells, i) => {
    const row = Object.fromEntries(columns.map((column, k) => [column, cells[k]]));
    const limit = Number(row.timeout_s);
    if (!row.onnx || !row.vnnlib || !(limit > 0))
      refuse(
        `${path}, instance ${i + 1}: expected a network, a property and a limit in seconds, got "${cells}"`,
      );
    return {
      benchmark: row.benchmark ?? basename(resolve(folder)),
      onnx: row.onnx,
      vnnlib: row.vnnlib,
      limit,
      expected: row.expected || undefined,
    };
  });
}

/** A file of the folder, or its compressed form where that alone is there. */
function fileOf(folder, name) {
  const path = join(folder, name);
  return !existsSync(path) && existsSync(`${path}.gz`) ? `${path}.gz` : path;
}

const OPPOSITE = { sat: 'unsat', unsat: 'sat' };
const decided = (verdict) => verdict in OPPOSITE;

/** Counts over instances that have a result. */
function summary(results) {
  const count = (holds) => results.filter(holds).length;
  return {
    total: results.length,
    solved: count(({ verdict, wrong }) => decided(verdict) && !wrong),
    wrong: count(({ wrong }) => wrong),
    timeout: count(({ verdict }) => verdict === 'timeout'),
    seconds: Number(results.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(1)),
  };
}

const summaryLine = ({ total, solved, wrong, timeout, seconds }) =>
  `${String(solved).padStart(4)}/${total} solved, ${wrong} wrong, ${timeout} timeout, ` +
  `${seconds.toFixed(1)} s`;

const [folder, ...others] = positionals;
if (folder === undefined || others.length > 0)
  refuse('expected one folder with instances.csv, as in `npm run bench:vnncomp -- DIR --timeout 60`');
const timeout = numberOf('timeout', flags.timeout, (v) => v > 0 && Number.isFinite(v), 'seconds above 0');
const threads = numberOf(
  'threads',
  flags.threads,
  (v) => Number.isInteger(v) && v >= 1,
  'a whole number of at least 1',
);
let only = /(?:)/;
try {
  only = new RegExp(flags.only ?? '');
} catch (error) {
  refuse(`--only: expected a regular expression, got "${flags.only}" (${error.message})`);
}

const instances = readInstances(folder).filter(({ benchmark, onnx, vnnlib }) =>
  only.test(`${benchmark} ${onnx} ${vnnlib}`),
);
if (instances.length === 0)
  refuse(`--only: expected a regular expression that instances of ${folder} match, got "${flags.only}"`);

const short = (cell) =>
  modelsOf(cell)
    .map(({ path }) => shortPath(path))
    .join('+');
const shortPath = (path) => basename(path).replace(/(\.(onnx|vnnlib))?(\.gz)?$/, '');
const width = Math.max(...instances.map(({ onnx, vnnlib }) => `${short(onnx)} ${short(vnnlib)}`.length));

/** What is asked of whoever decides an instance. */
const asked = ({ onnx, vnnlib, limit }) => ({
  models: modelsOf(onnx).map((one) => ({ ...one, path: resolve(fileOf(folder, one.path)) })),
  vnnlib: resolve(fileOf(folder, vnnlib)),
  limit: timeout ?? limit,
  sound: flags.sound ?? false,
});

/** Answers in the order of the instances, here one after another or by the workers of a queue. */
async function* answers() {
  if (flags.queue === undefined) {
    for (const instance of instances) yield await decideInstance(asked(instance), { threads });
    return;
  }
  // Another call asks for them anew.
  const prefix = prefixOf([Date.now(), process.pid, folder]);
  const jobs = instances.map((instance, i) => ({ id: String(i), ...asked(instance) }));
  const onNotice = (line) => console.error(line);
  yield* await spread(jobs, instanceCarrier(prefix), { address: queueAddress(flags.queue), onNotice });
}

const results = [];
for await (const result of answers()) {
  const instance = instances[results.length];
  const wrong = instance.expected !== undefined && OPPOSITE[result.verdict] === instance.expected;
  results.push({ ...instance, ...result, wrong });
  const name = `${short(instance.onnx)} ${short(instance.vnnlib)}`.padEnd(width);
  const cells = [
    result.verdict.padEnd(7),
    `expected ${(instance.expected ?? '–').padEnd(5)}`,
    `${result.seconds.toFixed(1).padStart(6)} s`,
    (result.stage ?? '–').padEnd(16),
    `${String(result.subproblems).padStart(7)} subproblems`,
    ...(result.lowerBound === undefined ? [] : [`bound ${result.lowerBound.toPrecision(3)}`]),
    ...(wrong ? ['WRONG'] : []),
  ];
  console.log(`${instance.benchmark.padEnd(14)} ${name}  ${cells.join('  ')}`);
}

console.log('');
for (const benchmark of new Set(results.map((result) => result.benchmark)))
  console.log(
    `${benchmark.padEnd(14)} ` +
      `${summaryLine(summary(results.filter((result) => result.benchmark === benchmark)))}`,
  );
console.log(`${'total'.padEnd(14)} ${summaryLine(summary(results))}`);
if (flags.json) console.log(JSON.stringify(summary(results)));
if (flags.junit !== undefined)
  await writeJunit(flags.junit, `tautnet vnncomp ${basename(resolve(folder))}`, junitCases(results));
process.exitCode = results.some(({ wrong }) => wrong) ? 1 : 0;
