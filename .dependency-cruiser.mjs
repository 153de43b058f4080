/**
 * The direction of imports in `src/`, checked by `npm run check:house`: each folder imports only folders above
 * it in these lists, types included. Tests are free. To add a folder, add its name at its height.
 */

const ROOMS = [
  ...['formats', 'graph', 'runtime', 'data', 'network', 'relaxation', 'attack', 'objective', 'evaluation'],
  ...['smoothing', 'training', 'verification', 'experiment', 'insight', 'cluster', 'library', 'doors', 'cli'],
];

/** Folders inside a room that have an order of their own; an `index.ts` beside them stands below all. */
const SUB_ROOMS = {
  runtime: ['random', 'device', 'kernels', 'plan', 'execution', 'pool', 'survey'],
  verification: ['property', 'proof', 'branch-and-bound', 'search', 'certification', 'certificate'],
};

/** Packages and modules of Node that draw on a terminal or read keys from it. */
const TERMINAL = '(^|node_modules/)(commander|cli-progress)($|/)|^(node:)?(readline|repl|tty)($|/)';

const TESTS = '\\.test\\.ts$|^src/testing/';

/** One rule for each folder of a list: it imports none of the folders below it. */
const downwards = (folder, names) =>
  names.slice(0, -1).map((name, height) => ({
    name: `gravity: ${folder}${name}`,
    comment: `${folder}${name}/ imports only folders above it: move the file down, or what it imports up`,
    severity: 'error',
    from: { path: `^${folder}${name}/`, pathNot: TESTS },
    to: { path: `^${folder}(${names.slice(height + 1).join('|')})/` },
  }));

/** A folder that is in no list would escape every rule. */
const unlisted = (folder, names) => ({
  name: `map: ${folder}`,
  comment: `every folder of ${folder} is in a list of .dependency-cruiser.mjs: add it at its height`,
  severity: 'error',
  from: { path: `^${folder}[^/]+/`, pathNot: [`^${folder}(${names.join('|')})/`, TESTS] },
  to: {},
});

export default {
  forbidden: [
    ...downwards('src/', ROOMS),
    unlisted('src/', ROOMS),
    ...Object.entries(SUB_ROOMS).flatMap(([room, names]) => [
      ...downwards(`src/${room}/`, names),
      unlisted(`src/${room}/`, names),
      {
        name: `gravity: src/${room}/index.ts`,
        comment: `src/${room}/index.ts is for other rooms: import the file itself`,
        severity: 'error',
        from: { path: `^src/${room}/[^/]+/`, pathNot: TESTS },
        to: { path: `^src/${room}/index\\.ts$` },
      },
    ]),
    {
      name: 'checker',
      comment: 'checker/ stands alone, so that it can be read alone: it imports none of src/ and no package',
      severity: 'error',
      from: { path: '^checker/', pathNot: TESTS },
      to: { path: '.', pathNot: '^checker/', dependencyTypesNot: ['core'] },
    },
    {
      name: 'checker: browser',
      comment: 'all of checker/ but its own command runs in a browser too: Node belongs into main.js',
      severity: 'error',
      from: { path: '^checker/', pathNot: ['^checker/main\\.js$', TESTS] },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'circles',
      comment: 'no circle of imports, types included: move what both files need into a file above them',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'doors',
      comment: 'a file directly in src/ is a door of the package: import the file that it exports from',
      severity: 'error',
      from: { path: '^src/', pathNot: TESTS },
      to: { path: '^src/[^/]+$' },
    },
    {
      name: 'tests',
      comment: 'only tests import tests and src/testing/',
      severity: 'error',
      from: { path: '^src/', pathNot: TESTS },
      to: { path: TESTS },
    },
    {
      name: 'terminal',
      comment: 'only src/cli/ talks to the terminal: report progress to a callback or an event',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/cli/', TESTS] },
      to: { path: TERMINAL },
    },
  ],
  options: {
    // TypeScript 7 has no interface for JavaScript yet, which dependency-cruiser's own parser needs.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.json'] },
  },
};
