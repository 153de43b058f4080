/**
 * Changes of formulas, which Stryker leaves alone as they are calls of functions: `sub` for `add`, `minimum`
 * for `maximum`, no `abs`, `relu` or `neg`, one summand of several, upper ends for lower ones. Each is tried
 * by itself in one running vitest, whose module of the changed file is loaded anew.
 */
import { readFileSync } from 'node:fs';
import { createVitest } from 'vitest/node';

/** By function of `src/graph`: what is called instead. */
const INSTEAD = {
  add: 'sub',
  sub: 'add',
  maximum: 'minimum',
  minimum: 'maximum',
  div: 'mul',
  abs: '((x) => x)',
  neg: '((x) => x)',
  relu: '((x) => x)',
  addAll: '(([x]) => x)',
};
const OTHER_END = { '.lower': '.upper', '.upper': '.lower' };
/** Shapes and types are those of both ends. */
const END = /\.(?:lower|upper)\b(?!\.(?:shape|dtype)\b)/g;
const IMPORT = /import \{([^}]*)\} from '[./]*\/graph\/index\.js'/;

/** The functions of `src/graph` that a file calls, once they are imported by name. */
const importedOf = (text) =>
  (IMPORT.exec(text)?.[1] ?? '').split(',').flatMap((name) => (name.trim() in INSTEAD ? [name.trim()] : []));

/**
 * Changes of a file in the order of its text, each with what the file then is. A line
 * below `// Formula disable: why` has none.
 */
function changesOf(file, isChosen) {
  const text = readFileSync(file, 'utf8');
  const names = importedOf(text);
  if (names.length === 0) return [];
  const calls = new RegExp(`(?<![.\\w])(?:${names.join('|')})(?=\\()`, 'g');
  const [called, ends] = [text.matchAll(calls), text.matchAll(END)].map((matches) => [...matches]);
  const body = IMPORT.exec(text).index;
  const found = [
    ...called.map(({ 0: name, index }) => ({ from: index, name, to: INSTEAD[name] })),
    ...ends.map(({ 0: name, index }) => ({ from: index, name, to: OTHER_END[name] })),
  ].sort((a, b) => a.from - b.from);
  return found.flatMap(({ from, name, to }) => {
    const above = text.slice(0, from).split('\n');
    const [line, column] = [above.length, above.pop().length + 1];
    const isComment = /^\s*(\*|\/\/|\/\*)/.test(text.split('\n')[line - 1]);
    const comments = above.slice(above.findLastIndex((one) => !/^\s*\/\//.test(one)) + 1);
    const isDisabled = comments.some((one) => one.includes('// Formula disable: '));
    if (from < body || isComment || isDisabled || !isChosen(line)) return [];
    const changed = text.slice(0, from) + to + text.slice(from + name.length);
    return [{ file, line, column, changed, replacement: `${to} for ${name}` }];
  });
}

/** The change under trial. */
let current;
const plugin = {
  name: 'formula mutant',
  enforce: 'pre',
  load: (id) => (current !== undefined && id.endsWith(`/${current.file}`) ? current.changed : undefined),
};

/** Whether tests fail, or what they test cannot be loaded. */
async function fail(vitest, tests) {
  vitest.state.filesMap.clear();
  vitest.state.errorsSet.clear();
  await vitest.start(tests);
  const failed = vitest.state.getFiles().some(({ result }) => result?.state === 'fail');
  return failed || vitest.state.errorsSet.size > 0;
}

/**
 * Tries the changes of files, each with its tests, until one fails; results as Stryker has them.
 * @param isChosen whether a line of a file is to be changed
 * @throws Error where the tests of a file fail without a change
 */
export async function formulaMutants(files, testsOf, isChosen) {
  const changes = files.map((file) => [file, changesOf(file, (line) => isChosen(file, line))]);
  const changed = changes.filter(([, of]) => of.length > 0);
  if (changed.length === 0) return [];
  process.env.MUTANTS_TESTS = JSON.stringify([...new Set(changed.flatMap(([file]) => testsOf(file)))]);
  const options = { config: 'vitest.mutants.config.ts', pool: 'threads', maxWorkers: 1, watch: false };
  const silent = { ...options, reporters: [{}], onConsoleLog: () => false };
  const vitest = await createVitest('test', silent, { plugins: [plugin] });
  const results = [];
  try {
    for (const [file, of] of changed) {
      // Of a pattern, the folder before it.
      const tests = testsOf(file).map((test) => test.replace('*.test.ts', ''));
      if (await fail(vitest, tests))
        throw new Error(`mutants: expected the tests of ${file} to pass, got a failure; mend them first`);
      for (const change of of) {
        current = change;
        vitest.invalidateFile(`${process.cwd()}/${file}`);
        const status = (await fail(vitest, tests)) ? 'Killed' : 'Survived';
        const { line, column, replacement } = change;
        results.push({
          fileName: file,
          location: { start: { line, column } },
          mutatorName: 'Formula',
          replacement,
          status,
        });
      }
      current = undefined;
      vitest.invalidateFile(`${process.cwd()}/${file}`);
    }
  } finally {
    await vitest.close();
  }
  return results;
}
